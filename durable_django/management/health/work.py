"""Probes of the work: does somebody tick, do workers live, is anything late or stuck."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db.models import Count, Min

from ...clock import read_now, read_time
from ...conf import settings
from ...define.registry import registry
from ...engine.words import say_length
from ...models import Event, Run, RunStatus, Worker
from .finding import Finding, Level, grade

WORKER_SEEN = 60.0
LATE_WARN, LATE_FAIL = 10.0, 60.0
DEPTH_WARN = 10_000
TICK: Final = "tick"
START: Final = "Start `manage.py durable worker`"


def probe_tick(using: str) -> list[Finding]:
    """Tell how long ago somebody swept."""
    seen = Worker.objects.using(using).filter(name=TICK).values_list("seen_at", flat=True).first()
    live = Run.objects.using(using).live().exists()
    remedy = f"{START}, `celery beat`, or `manage.py durable tick` from cron."
    if seen is None:
        never: Level = "fail" if live else "warn"
        return [Finding(name="tick", level=never, text="nobody has ticked yet", remedy=remedy)]
    age = _age(using, seen)
    allowed = max(LATE_WARN, 5 * settings.TICK_SECONDS)
    level = grade(age, warn=allowed, fail=6 * allowed if live else float("inf"))
    text = f"the last tick was {say_length(age)} ago"
    return [Finding(name="tick", level=level, text=text, remedy="" if level == "ok" else remedy)]


def probe_workers(using: str) -> list[Finding]:
    """List the workers that report themselves, and queues that none of them serves."""
    now = read_now(using)
    rows = Worker.objects.using(using).exclude(name=TICK).order_by("name")
    alive = [row for row in rows if (now - read_time(row.seen_at)).total_seconds() <= WORKER_SEEN]
    queued = dict(_count_queued(using))
    if not alive:
        strict = queued and settings.DISPATCHER == "local"
        text = f"none was seen in the last {WORKER_SEEN:.0f} s"
        return [Finding(name="workers", level="fail" if strict else "warn", text=text, remedy=f"{START}.")]
    served = {queue for row in alive for queue in row.served}
    text = f"{len(alive)} seen: {', '.join(f'{row.name} ({_say_queues(row)})' for row in alive[:5])}"
    if unserved := sorted(set(queued) - served):
        text += f"; none serves {', '.join(unserved)}"
        remedy = f"Start `manage.py durable worker -q {' '.join(unserved)}`."
        return [Finding(name="workers", level="warn", text=text, remedy=remedy)]
    return [Finding(name="workers", level="ok", text=text)]


def _say_queues(row: Worker) -> str:
    return "stopping" if row.is_stopping else row.queues


def probe_due(using: str) -> list[Finding]:
    """Tell how late the run is that should have been looked at first."""
    oldest = Run.objects.using(using).filter(wake_at__isnull=False).aggregate(at=Min("wake_at"))["at"]
    late = max(_age(using, oldest), 0.0) if oldest else 0.0
    level = grade(late, warn=LATE_WARN, fail=LATE_FAIL)
    text = f"the oldest due run is {say_length(late)} late" if late else "no run is late"
    remedy = "" if level == "ok" else f"{START}; if one runs, see its log."
    return [Finding(name="due", level=level, text=text, remedy=remedy)]


def probe_events(using: str) -> list[Finding]:
    """Tell how long the oldest event has waited for its routing."""
    oldest = Event.objects.using(using).unrouted().aggregate(at=Min("created_at"))["at"]
    age = max(_age(using, oldest), 0.0) if oldest else 0.0
    level = grade(age, warn=LATE_WARN, fail=LATE_FAIL)
    text = f"the oldest unrouted event is {say_length(age)} old" if oldest else "all events are routed"
    remedy = "" if level == "ok" else "`manage.py durable tick` routes them; see its log if it does not."
    return [Finding(name="events", level=level, text=text, remedy=remedy)]


def probe_queues(using: str) -> list[Finding]:
    """Count the runs that wait for a worker."""
    queued = _count_queued(using)
    text = ", ".join(f"{queue}: {count}" for queue, count in queued) or "no run is queued"
    deep = any(count >= DEPTH_WARN for _, count in queued)
    remedy = "Start more workers, or give them more --threads." if deep else ""
    return [Finding(name="queues", level="warn" if deep else "ok", text=text, remedy=remedy)]


def probe_code(using: str) -> list[Finding]:
    """Name the workflows of live runs that no code here answers to."""
    live = Run.objects.using(using).live().values_list("workflow").annotate(count=Count("id"))
    missing = [(workflow, count) for workflow, count in live.order_by("workflow") if workflow not in registry]
    if not missing:
        text = f"{len(list(registry))} workflows registered; every live run has its code"
        return [Finding(name="code", level="ok", text=text)]
    text = "no code for " + ", ".join(f"{workflow} ({count} runs)" for workflow, count in missing)
    remedy = "Bring the workflow back, or cancel its runs; they wait until then."
    return [Finding(name="code", level="warn", text=text, remedy=remedy)]


def _count_queued(using: str) -> list[tuple[str, int]]:
    runs = Run.objects.using(using).filter(status=RunStatus.QUEUED)
    return list(runs.values_list("queue").annotate(count=Count("id")).order_by("queue"))


def _age(using: str, moment: datetime) -> float:
    return (read_now(using) - read_time(moment)).total_seconds()


PROBES: Final[tuple[Callable[[str], list[Finding]], ...]] = (
    probe_tick,
    probe_workers,
    probe_due,
    probe_events,
    probe_queues,
    probe_code,
)
