"""The list of runs: what it refuses to look for, what is new on it, and its filters without the rows."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Subquery
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.expressions import Expression
from ..models import Run
from ..store.time_limit import TimeLimitReached, time_limit
from .keyed_list import COUNT_SECONDS, KeyedChangeList
from .permits import may_see_payloads
from .run_columns import NAMES as COLUMNS
from .run_columns import fill_inputs
from .run_details import DetailFilter
from .run_filters import RangeFilter, StateFilter
from .run_now import tell_now
from .run_search import check_search, read_search
from .run_tester import PARAMETER as TESTER
from .run_tester import Tested, check_runs, read_expression

TEST_SECONDS: Final = 2.5
"""What an expression may take, within the limit of a read."""
TEST_MOST: Final = 1_000
"""Runs that an expression is tested on for one page."""
NEWS: Final = 100
"""Runs that came meanwhile are counted no further."""


class RunChangeList(KeyedChangeList):
    """Runs between two keys, newest first."""

    kept = (*COLUMNS, TESTER)
    tested: Tested | None = None
    """What came of the expression that the address has."""
    source = ""
    expression: Expression | None = None

    def get_results(self, request: HttpRequest) -> None:
        """Read one page; with an expression, only the runs that it is true of."""
        super().get_results(request)
        if self.tested is not None and self.tested.checked and self.total is None:
            self.count_rows()

    def read_page(self, request: HttpRequest) -> bool:
        """Read the page and what its columns show, and tell whether that is all there is."""
        whole = self._test() if self.source else super().read_page(request)
        fill_inputs(request, self.result_list, self.queryset.db)
        return whole

    def _test(self) -> bool:
        assert self.expression is not None
        rows = tell_now(self.queryset).order_by("-pk")
        if older := self.read_key(self.older):
            rows = rows.filter(pk__lt=older)
        self.tested = check_runs(
            rows, self.expression, found=self.list_per_page, most=TEST_MOST, seconds=TEST_SECONDS
        )
        self.result_list = self.tested.matched
        if self.tested.more:
            self.older_url = self.get_query_string({"older": self.tested.last})
        return False

    def find_obstacle(self, request: HttpRequest) -> str:
        """Return why no run is looked for: a permission is missing, or too many would be looked at."""
        if problem := check_search(request, read_search(self.query)) or self._check_source(request):
            return problem
        slow = [each for each in self._find(DetailFilter).chosen() if not each.indexed]
        if not slow or not self._find(RangeFilter).is_long() or self._find(StateFilter).is_short():
            return ""
        text = _(
            "“%s” is looked for run by run. Choose a state other than completed, or a range of at most 7 days."
        )
        return str(text % slow[0].label)

    def _check_source(self, request: HttpRequest) -> str:
        self.source = request.GET.get(TESTER, "").strip()
        if not self.source:
            return ""
        if not may_see_payloads(request):
            return _("To test expressions you need the permission “Can view payloads”.")
        self.expression, error = read_expression(self.source)
        if error:
            self.tested = Tested(source=self.source, error=error)
        return _("The expression is not valid. What is wrong stands beside it.") if error else ""

    def _find(self, kind: Any) -> Any:
        return next(each for each in self.filter_specs if isinstance(each, kind))

    def count_news(self, since: str) -> int:
        """Return how many runs came after that one and meet the filters; at most NEWS, in one query."""
        key = self.read_key(since)
        rows = self.queryset.filter(pk__gt=key) if key else self.queryset
        return int(rows.order_by()[:NEWS].count())

    @property
    def nothing_yet(self) -> bool:
        """Tell whether there is no run at all; asked only about an empty list."""
        return not self._past[0]

    @property
    def newest(self) -> str:
        """Return the key after which runs are news; empty on any page but the first."""
        if self.older or self.newer or self.problem or self.source:
            return ""
        return str(self.result_list[0].pk) if self.result_list else str(UUID(int=0))

    @property
    def any_time_url(self) -> str:
        """Return the same list without a range."""
        query = self.get_query_string({RangeFilter.parameter_name: "all"}, remove=["from", "until"])
        return str(query)

    @property
    def untested_url(self) -> str:
        """Return the same list without an expression."""
        return str(self.get_query_string(remove=[TESTER]))

    @property
    def kept_by_tester(self) -> list[tuple[str, Any]]:
        """Return what the form of the expression carries along."""
        return [(name, value) for name, value in self.params.items() if name != TESTER]

    @property
    def told(self) -> list[str]:
        """Return what the filters say, and the expression."""
        return [*super().told, f"“{self.source}”"] if self.source else super().told

    @property
    def latest(self) -> Run | None:
        """Return the newest run that the filters leave at any time; asked only about an empty list."""
        return self._past[1]

    @cached_property
    def _past(self) -> tuple[bool, Run | None]:
        """Whether there is any run, and the newest at any time that the other filters leave, in one query."""
        newest: Any = Run.objects.using(get_alias()).order_by("-pk")
        if self._find(RangeFilter).value() == "all":
            return newest.exists(), None
        rows = self._filter_any_time().order_by("-pk")
        told = newest.annotate(
            found=Subquery(rows.values("pk")[:1]), at=Subquery(rows.values("created_at")[:1])
        )
        try:
            with time_limit(get_alias(), COUNT_SECONDS):
                found = told.values_list("found", "at").first()
        except TimeLimitReached:
            return True, None
        return found is not None, Run(pk=found[0], created_at=found[1]) if found and found[0] else None

    def _filter_any_time(self) -> Any:
        rows: Any = self.root_queryset
        for spec in self.filter_specs:
            if not isinstance(spec, RangeFilter):
                rows = spec.queryset(self.request, rows)
        return self.model_admin.get_search_results(self.request, rows, self.query)[0]


class UnreadChangeList(RunChangeList):
    """The filters without the rows, for those who read them in another way."""

    def get_results(self, request: HttpRequest) -> None:
        """Read nothing."""
        self.result_list = []
        self.result_count = self.full_result_count = 0
        self.problem = self.find_obstacle(request)
        if self.source and not self.problem:
            self.problem = _("The runs that an expression is true of cannot be exported.")


def select_runs(page: Any, request: HttpRequest) -> UnreadChangeList | None:
    """Return the list that the address asks for, unread; None if Django would not have its parameters."""
    request.durable_list = UnreadChangeList  # type: ignore[attr-defined]
    try:
        found: UnreadChangeList = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return None
    return found
