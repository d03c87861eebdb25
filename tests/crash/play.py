"""Play a scene, to its end or to its death, and play on what another process left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from durable_django.engine.sweep import sweep
from durable_django.exceptions import OperationRefused, SignalNotAwaited
from durable_django.models import Event, Run
from durable_django.store.connections import refresh_connections
from tests.crash import world
from tests.crash.post import deliver
from tests.crash.scene import Deed, Scene

Value = TypeVar("Value")
TRIES = 20
"""How often a client sends what was not answered."""
SECONDS = 61
"""Longer than a lease: whatever a killed process held is taken over."""
ROUNDS = 12
"""Doublings of it, until the longest sleep of a scene is over."""


def play(scene: Scene) -> None:
    """Do every deed that is not noted as done, and all that follows from it, until all runs have ended."""
    done = len(world.read("done"))
    for number, deed in enumerate(scene.deeds):
        if number >= done:
            do(deed)
            world.note("done", number)
            work(SECONDS * 1000 if world.patient else "2s")
    finish()


def do(deed: Deed) -> None:
    """Do a deed as a client that does not know whether it was done before: again."""
    for _ in range(TRIES):
        try:
            deed()
            return
        except (OperationRefused, SignalNotAwaited):
            if not world.read("died"):
                raise
            return
        except (OperationalError, InterfaceError):
            world.note("died")  # the client does not know what became of it, as after a death
            refresh_connections()
    raise AssertionError("the client gave up")


def work(pause: Any) -> None:
    """Deliver what is posted, let time pass, and let the tick find the rest."""
    survive(deliver)
    world.travel(pause)
    while True:
        swept = survive(lambda: sweep("default"))
        if not survive(deliver) and not (swept and (swept.routed or swept.fired or swept.timed_out)):
            return


def survive(act: Callable[[], Value]) -> Value | None:
    """Do what a worker's loop does, which goes on whatever happens to it."""
    try:
        return act()
    except (OperationalError, InterfaceError):
        refresh_connections()
        return None


def finish() -> None:
    """Let time pass until every run has ended."""
    for number in range(ROUNDS):
        if survive(is_at_rest):
            return
        work(SECONDS * 1000 * 2**number)


def is_at_rest() -> bool:
    """Tell whether nothing is left to be done."""
    return not Run.objects.live().exists() and not Event.objects.unrouted().exists()


def take_over(scene: Scene) -> None:
    """Play on in a process that knows only what is stored."""
    world.resume_time()
    world.note("died")
    work(SECONDS * 1000)
    play(scene)


def tell() -> dict[str, Any]:
    """Return what a play left behind, without what differs by nature."""
    from durable_django.models import Attempt, RunSubject, Step
    from tests.app.models import Effect

    runs = Run.objects.order_by("workflow", "id").values_list("workflow", "status", "result__output")
    steps = Step.objects.exclude(run__status="cancelled").order_by("run__workflow", "name", "index", "kind")
    return {
        "runs": sorted(map(list, runs), key=str),
        "steps": sorted(
            map(list, steps.values_list("run__workflow", "name", "index", "kind", "status")), key=str
        ),
        "attempts": sorted(
            map(list, Attempt.objects.values_list("run__workflow", "name", "number")), key=str
        ),
        "links": sorted(map(list, RunSubject.objects.values_list("run__workflow", "label", "object_pk"))),
        "rows": sorted(Effect.objects.values_list("key", flat=True)),
        "names": sorted({line[0] for line in world.read("ledger")}),
    }


def find_doubles(ledger: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Return the steps whose effects were made more than once, by their idempotency key."""
    counts: dict[str, int] = {}
    for name, key in ledger:
        counts[f"{name} {key}"] = counts.get(f"{name} {key}", 0) + 1
    return {name: count for name, count in counts.items() if count > 1}
