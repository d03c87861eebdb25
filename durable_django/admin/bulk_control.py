"""Stop and continue bulk operations in the browser."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.bulk import continue_bulk, stop_bulk
from ..models import BulkOperation, BulkState
from .bulk_words import say_progress
from .operation import Operation
from .pages import show_gone
from .render import find_page


class BulkControl(Operation):
    """An action on a bulk operation."""

    permission = "bulk_operate"
    view_model = BulkOperation
    needs: ClassVar[BulkState]
    target: BulkOperation | None

    def find(self) -> BulkOperation | None:
        """Return the operation."""
        number = int(self.key) if len(self.key) < 19 else 0
        return BulkOperation.objects.using(self.using).filter(pk=number).first()

    def show_missing(self) -> HttpResponse:
        """Say that it is not stored."""
        return show_gone(self.page, self.request, self.key)

    def find_obstacle(self) -> str:
        """Say what state it is in."""
        assert self.target is not None
        if self.target.state == self.needs:
            return ""
        values = {"id": self.target.pk, "state": self.target.get_state_display()}
        return _("Nothing was done: bulk operation %(id)d is %(state)s.") % values

    def find_home(self) -> str:
        """Return its page."""
        return find_page(self.site, "bulkoperation_change", self.key)

    def list_consequences(self) -> list[Any]:
        """Say how far it is."""
        assert self.target is not None
        return [say_progress(self.target)]

    def list_trail(self) -> list[tuple[str, Any]]:
        """Return overview and operation."""
        return [*super().list_trail(), (self.find_home(), f"#{self.key}")]


class StopBulk(BulkControl):
    """Stops it."""

    code, needs = "bulk stop", BulkState.RUNNING
    title = button = gettext_lazy("Stop the bulk operation")

    def ask(self) -> str:
        """Ask."""
        return _("Stop it? What is done stays done; it can be continued later.")

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Stop."""
        return stop_bulk(int(self.key), using=self.using, **who)

    def tell(self, made: Any) -> str:
        """Say how far it came."""
        return _("It was stopped: %s") % say_progress(made)


class ContinueBulk(BulkControl):
    """Continues it."""

    code, needs = "bulk continue", BulkState.STOPPED
    title = button = gettext_lazy("Continue the bulk operation")

    def ask(self) -> str:
        """Ask."""
        return _("Let it go on where it stopped? What was created after its start is still not touched.")

    def act(self, cleaned: dict[str, Any], **who: Any) -> Any:
        """Continue."""
        return continue_bulk(int(self.key), using=self.using, **who)

    def tell(self, made: Any) -> str:
        """Say so."""
        return _("It goes on.")
