"""Sends the programs at an even pace and lets faults happen to whoever carries them out."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from durable_django import send_events
from durable_django.dispatch.publisher import close_publisher
from durable_django.engine.identity import find_worker
from durable_django.engine.nudge import Nudge, get_dispatcher
from durable_django.exceptions import NudgeLost
from durable_django.models import BulkOperation, Event, Run, Worker
from durable_django.models.run import LIVE
from tests.chaos.operators import Operators
from tests.chaos.programs import Program
from tests.chaos.stage import LEASE, WORKERS, Stage
from tests.processes import Process
from tests.waiting import wait_until

PACE = 0.1  # seconds between two looks
BATCH = 20
BACKLOG = 400
"""Live runs above which no further programs are sent."""
PATIENCE = 90.0
"""Seconds without any progress, after the faults, that count as a run that is stuck."""


@dataclass
class Conductor:
    """Counts in ``done`` what it did to the system."""

    stage: Stage
    programs: list[Program]
    seconds: float
    interval: float
    faults: Sequence[str] = ()
    outage: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    stopped: list[Process] = field(default_factory=list)
    left: list[Program] = field(default_factory=list)
    received: int | None = None
    """How many programs an asynchronous standby that is cut off has been told of."""

    def play(self) -> bool:
        """Send all programs under faults, then wait for the end; tell whether everything ended."""
        self.operators = Operators(self.done)
        for _ in range(WORKERS):
            self.stage.add_worker()
        wait_until(Worker.objects.exists, timeout=90, what="the first worker")
        began = time.monotonic()
        due = began + 2 * self.interval
        deck = self._deal()
        self.left = list(self.programs)
        while self.left or time.monotonic() < began + self.seconds:
            self._send_due(time.monotonic() - began)
            if time.monotonic() >= due:
                next(deck)()
                due = time.monotonic() + self.interval * random.uniform(0.7, 1.3)
            time.sleep(PACE)
        return self._calm_down()

    @property
    def sent(self) -> int:
        return len(self.programs) - len(self.left)

    def _send_due(self, elapsed: float) -> None:
        share = min(1.0, elapsed / max(self.seconds * 0.8, 1e-9))
        if self.left and self.sent <= share * len(self.programs):
            self._send()

    def _send(self) -> None:
        batch = self.left[:BATCH]
        try:
            if Run.objects.filter(status__in=LIVE).count() > BACKLOG:
                return
            send_events([each.event for each in batch])
        except (DatabaseError, InterfaceError):
            # Whether it was stored is not known, so it is sent again, under the same ids.
            self.done["sent_again"] += 1
            connection.close()
            return
        del self.left[: len(batch)]

    def _deal(self) -> Iterator[Callable[[], None]]:
        """Give each kind of fault in a random order, again and again."""
        kinds: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "repeat": self._repeat,
            "leave": self._leave,
            "pause": self.operators.pause,
            "bulk": self.operators.time_out,
        }
        if self.stage.broker is not None:
            kinds |= {"flush": self._flush, "beats": self._change_beats}
        if self.stage.cluster is not None:
            kinds["restart"] = self._restart
        if self.stage.replica:
            kinds["failover"] = self._fail_over
        deck = [kind for name, kind in kinds.items() if name in self.faults or not self.faults]
        deck += [kind for kind in deck if kind == self._kill]  # twice as often as the rest
        while True:
            random.shuffle(deck)
            yield from deck
            if not deck:
                yield lambda: None

    def _pick(self) -> Process | None:
        """Return a worker that is executing runs now; any other only if none is for a while."""
        able = [each for each in self.stage.workers if each.returncode is None and each not in self.stopped]
        for _ in range(20):
            if busy := [each for each in able if each.pid in self._list_busy()]:
                return random.choice(busy)
            time.sleep(0.05)
        return random.choice(able) if able else None

    def _list_busy(self) -> set[int]:
        try:
            owners = set(Run.objects.filter(status="running").values_list("owner", flat=True))
        except (DatabaseError, InterfaceError):
            connection.close()
            return set()
        groups = set()
        for owner in owners:
            with contextlib.suppress(ProcessLookupError):  # it was killed
                groups.add(os.getpgid(int(find_worker(owner).rpartition(":")[2])))
        return groups

    def _freeze(self) -> Process | None:
        """Return a worker that is stopped in the middle of a run; any other only if none is for a while."""
        until = time.monotonic() + 1.0
        while (worker := self._pick()) is not None:
            worker.send(signal.SIGSTOP)
            # What it executed may have ended since it was picked.
            if worker.pid in self._list_busy() or time.monotonic() > until:
                return worker
            worker.send(signal.SIGCONT)
        return None

    def _kill(self) -> None:
        if self.left:
            self._send()  # so that there is something to be in the middle of
        if (worker := self._freeze()) is None:
            return
        worker.kill()
        self.stage.workers.remove(worker)
        self.done["kills"] += 1
        self.stage.add_worker()

    def _leave(self) -> None:
        """A deploy: the worker is asked to go, and another one is there already."""
        if (worker := self._pick()) is None:
            return
        self.stage.add_worker()
        self.stage.workers.remove(worker)
        os.kill(worker.pid, signal.SIGTERM)
        self.done["deploys"] += 1

    def _stop(self) -> None:
        if (worker := self._pick()) is None:
            return
        worker.send(signal.SIGSTOP)
        self.stopped.append(worker)
        self.done["zombies"] += 1
        # On a thread: the worker may hold a lock that this one would wait for.
        threading.Timer(2 * LEASE, self._wake, [worker]).start()

    def _wake(self, worker: Process) -> None:
        worker.send(signal.SIGCONT)
        self.stopped.remove(worker)

    def _repeat(self) -> None:
        try:
            live = list(
                Run.objects.filter(status__in=LIVE).order_by("?").values_list("id", "workflow", "queue")[:50]
            )
            get_dispatcher().nudge([Nudge(*each) for each in live] * 3)
            self.done["redeliveries"] += 3 * len(live)
        except (DatabaseError, InterfaceError, NudgeLost):
            connection.close()

    def _flush(self) -> None:
        import redis

        assert self.stage.broker is not None
        with redis.Redis.from_url(self.stage.broker.url) as client:
            client.flushdb()
        self.done["flushes"] += 1

    def _change_beats(self) -> None:
        """None at first, then two of them, then none again."""
        if not self.stage.beats:
            self.stage.add_beat()
            self.stage.add_beat()
            self.done["beats"] += 2
            return
        for each in self.stage.beats:
            each.kill()
        self.stage.beats.clear()

    def _restart(self) -> None:
        assert self.stage.cluster is not None
        self.stage.cluster.stop("immediate")
        time.sleep(random.uniform(0.5, 1.0) * self.outage)
        self.stage.cluster.start()
        connection.close()
        self.done["restarts"] += 1

    def _fail_over(self) -> None:
        """The standby takes over; an asynchronous one is cut off at one turn, and takes over at the next.

        The workers do not live through the loss of a tail: what they remember is not what the tables hold.
        """
        standby = self.stage.standby
        assert self.stage.cluster is not None
        assert standby is not None
        if self.stage.replica == "async" and self.received is None:
            self.received = self.sent
            self.stage.cluster.wait_until_followed()
            standby.stop("fast")
            return
        known = set(Event.objects.values_list("id", flat=True))
        if self.stage.replica == "async":
            self._end_workers()
        self.stage.promote_standby()
        connection.close()
        self.done["failovers"] += 1
        if self.stage.replica == "async":
            self.done["lost_events"] += len(known.difference(Event.objects.values_list("id", flat=True)))
            self.left[:0] = self.programs[self.received : self.sent]
            self.received = None
            for _ in range(WORKERS):
                self.stage.add_worker()
        self.stage.add_standby()

    def _end_workers(self) -> None:
        for worker in [*self.stage.workers, *self.stage.beats]:
            worker.kill()
        self.stage.workers.clear()
        self.stage.beats.clear()

    def _calm_down(self) -> bool:
        self.operators.rest()
        for worker in self.stage.workers:
            if worker.returncode is not None:
                self.done["deaths"] += 1  # nobody killed it
                self.stage.add_worker()
        seen: Any = None
        moved = time.monotonic()
        while time.monotonic() < moved + PATIENCE:
            now = self._look()
            if now is not None and now[:2] == (0, 0):
                close_publisher()
                return True
            if now != seen:
                seen, moved = now, time.monotonic()
            time.sleep(0.3)
        print(f"stuck: {seen}", file=sys.stderr)
        return False

    def _look(self) -> tuple[int, int, int] | None:
        try:
            live = Run.objects.filter(status__in=LIVE)
            tokens = sum(live.values_list("token", flat=True))
            bulk = BulkOperation.objects.filter(state="running").count()
            return live.count(), bulk + Event.objects.filter(routed_at=None).count(), tokens
        except (DatabaseError, InterfaceError):
            connection.close()
            return None
