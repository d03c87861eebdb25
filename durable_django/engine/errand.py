"""Errands: attempts of steps that go on after the workflow function was left, and end by queueing the run.

Note [An errand has the fence of the slice that it comes from]
    The run stays owned under the same token and its lease is renewed, so nobody else executes it, and what
    the errand stores is refused if it was lost or cancelled. A process that dies takes its errands with it;
    the sweep finds the run by its lease, as after any crash in the middle of a step.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

from django.db import connections

from ..exceptions import StepError
from ..store.lease import release_leases
from .conclude import conclude
from .drive import Driver
from .faults import faults
from .interrupts import Interrupt, Released, StoreFailed, Suspended
from .outcome import Left, Outcome
from .outside import get_pool
from .pending import Errand, Pending
from .slice import Slice

logger = logging.getLogger("durable_django.execute")

_running: set[_Errands] = set()


def hand_over(part: Slice, outcome: Outcome, held: ExitStack) -> bool:
    """Carry on with the errands of a slice, if it was left for some, and take over what it holds."""
    if not isinstance(outcome, Left) or not isinstance(outcome.interrupt, Suspended):
        return False
    pending = outcome.interrupt.pending
    errands = [each.errand for each in pending if each.errand is not None]
    if not errands:
        return False
    others = [each for each in pending if each.errand is None]
    _Errands(part, others, held.pop_all()).start(errands)
    return True


def count_errands(using: str) -> int:
    """Return how many runs of a database have errands in this process."""
    return sum(each.part.using == using for each in list(_running))


def give_back() -> None:
    """Give back the runs whose errands this process cannot end any more."""
    for each in list(_running):
        claimed = each.part.claimed
        release_leases(each.part.using, [(claimed.id, claimed.token)])


class _Errands:
    def __init__(self, part: Slice, others: Sequence[Pending], held: ExitStack) -> None:
        self.part = part
        self._others = list(others)
        self._held = held
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._left = 0
        self._stored = False
        self._interrupt: Interrupt | None = None

    def start(self, errands: Sequence[Errand]) -> None:
        """Give each errand to a thread."""
        self._left = len(errands)
        _running.add(self)
        for errand in errands:
            try:
                get_pool("answers").submit(self._run, errand)
            except RuntimeError:  # the interpreter shuts down: no more threads
                self._run(errand)

    def _run(self, errand: Errand) -> None:
        try:
            self._carry_out(errand)
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                self._end()
        except Exception as error:
            logger.exception("an errand ended with an error of the engine")
            faults.note(error)
        finally:
            connections.close_all()  # each of many such threads needs one for a moment only

    def _carry_out(self, errand: Errand) -> None:
        try:
            Driver(self.part).finish(errand())
            self._stored = True
        except StepError:
            self._stored = True  # replay raises it where the workflow can catch it
        except Suspended as suspended:
            self._others += suspended.pending
        except Interrupt as interrupt:
            self._interrupt = interrupt
        except Exception as error:  # noqa: BLE001  whatever it is, the run must be concluded
            self._interrupt = StoreFailed(error)

    def _end(self) -> None:
        with self._held:
            try:
                self._conclude()
            finally:
                _running.discard(self)

    def _conclude(self) -> None:
        part, seconds = self.part, time.monotonic() - self._began
        if self._interrupt is not None:
            conclude(part, Left(self._interrupt), seconds)
            return
        now = [Pending(waits_for="fetch", wake_in=0.0)] if self._stored else []
        if self._others and conclude(part, Left(Suspended(*self._others, *now)), seconds) is None:
            return
        conclude(part, Left(Released()), seconds)
