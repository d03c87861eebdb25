"""Drain a worker in the browser, and let it take runs again."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..engine import operations
from ..engine.identity import owned_by
from ..engine.operate_workers import list_workers, read_state
from ..exceptions import DurableError
from ..models import Run, RunStatus, Worker
from .operation import Operation
from .pages import build_trail, show_gone
from .render import find_page
from .worker_words import name_worker_state

LEARNS: Final = 10
"""Seconds within which a worker learns what was asked of it: the time between two of its reports."""


class WorkerOperation(Operation):
    """An action on a worker."""

    permission = "pause_workflow"
    view_model = Worker
    needs: ClassVar[str]
    target: Any

    def find(self) -> Any:
        """Return its row, with the database's time."""
        return list_workers(self.using).filter(name=self.key).first() if "\x00" not in self.key else None

    def show_missing(self) -> HttpResponse:
        """Say that it has not reported itself."""
        return show_gone(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say what state it is in."""
        state = read_state(self.target)
        return "" if state == self.needs else self._tell_nothing_done(state)

    def tell_refused(self, error: DurableError) -> str:
        """Say what state it is in now."""
        status = error.details.get("status")
        return self._tell_nothing_done(status) if status else str(error.message)

    def _tell_nothing_done(self, state: str) -> str:
        values = {"name": self.key, "state": name_worker_state(state)}
        return _("Nothing was done: worker “%(name)s” is %(state)s.") % values

    def find_home(self) -> str:
        """Return the list of workers."""
        return find_page(self.site, "worker_changelist")

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview, workers, this one."""
        return build_trail(self.page, (self.find_home(), self.key))


class Drain(WorkerOperation):
    """Lets a worker take nothing new."""

    code, needs, dangerous = "drain", "live", True
    title = gettext_lazy("Drain the worker")
    button = gettext_lazy("Drain the worker")

    def ask(self) -> str:
        """Ask."""
        return _("Let “%s” finish what it has and take nothing new?") % self.key

    def list_consequences(self) -> list[Any]:
        """Say what it has, who remains, and what to do then."""
        text = _("It learns it within %d seconds. Its process goes on; end it when no run is left.")
        return [*self._count_runs(), *self._list_unserved(), text % LEARNS]

    def _count_runs(self) -> list[Any]:
        runs = Run.objects.using(self.using).filter(owned_by(self.key), status=RunStatus.RUNNING)
        count = runs.count()
        if not count:
            return []
        return [ngettext("It has %d run, which goes on.", "It has %d runs, which go on.", count) % count]

    def _list_unserved(self) -> list[Any]:
        others = [row for row in list_workers(self.using).exclude(name=self.key) if read_state(row) == "live"]
        left = set(self.target.served) - {queue for row in others for queue in row.served}
        return [
            _("No other live worker serves the queue “%s”: its runs will wait.") % name
            for name in sorted(left)
        ]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Drain."""
        return operations.drain_worker(self.key, using=self.using, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("“%s” takes nothing new.") % self.key


class Undrain(WorkerOperation):
    """Lets it take runs again."""

    code, needs = "undrain", "stopping"
    title = gettext_lazy("Let the worker take runs again")
    button = gettext_lazy("Let it take runs")

    def ask(self) -> str:
        """Ask."""
        return _("Let “%s” take runs again?") % self.key

    def list_consequences(self) -> list[Any]:
        """Say when."""
        return [_("It learns it within %d seconds.") % LEARNS]

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Let it."""
        return operations.undrain_worker(self.key, using=self.using, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("“%s” takes runs again.") % self.key
