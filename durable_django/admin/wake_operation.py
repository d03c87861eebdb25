"""End a sleep, or the pause before the next attempt, at once."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from ..engine import operations
from ..engine.diagnose import diagnose
from ..engine.words import name_step, say_instant
from ..models import RunStatus, Step, StepStatus
from .render import show_sentence
from .run_operations import WAKES, RunOperation


class Wake(RunOperation):
    """Lets a run go on before its time."""

    code, permission = "wake", "retry_run"
    states = (RunStatus.WAITING,)

    @property
    def title(self) -> Any:
        """Return what it is called."""
        return _("Retry now") if self._is_retry else _("Wake now")

    @property
    def button(self) -> Any:
        """Return what it is called."""
        return self.title

    @property
    def _is_retry(self) -> bool:
        return self.target is not None and self.target.waits_for == "retry"

    def find_obstacle(self) -> str:
        """Say that there is no time to cut short."""
        if self.target.status == RunStatus.WAITING and self.target.waits_for not in WAKES:
            return _("Nothing was done: run %s neither sleeps nor waits for an attempt.") % self.target.pk
        return super().find_obstacle()

    def ask(self) -> str:
        """Ask."""
        if self._is_retry:
            return self._ask_retry()
        return _("Let this run of “%s” go on now, as if the time had come?") % self.target.workflow

    def _ask_retry(self) -> str:
        steps = Step.objects.using(self.using).filter(run_id=self.target.pk, status=StepStatus.RETRYING)
        step = steps.only("name", "index", "attempt", "ready_at").order_by("ready_at", "pk").first()
        if step is None:
            return _("Start the next attempt now? Completed steps are not repeated.")
        text = _(
            "Retry step “%(step)s” (attempt %(number)d) now instead of at %(at)s? "
            "Completed steps are not repeated."
        )
        name = name_step(step.name, step.index)
        return text % {"step": name, "number": step.attempt + 1, "at": say_instant(step.ready_at)}

    def list_consequences(self) -> list[Any]:
        """Say what it waits for."""
        why = diagnose(self.using, self.target)
        return [show_sentence(_("Now: %s") % why.sentence)] if why else []

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Wake."""
        return operations.wake_run(self.target.pk, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("The run goes on now.")
