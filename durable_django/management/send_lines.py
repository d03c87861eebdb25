"""Send more events than one transaction should hold: in batches, with progress, and a place to go on from.

Note [A long file is sent in batches]
    Each batch is committed and routed before the next is read, so memory stays flat and the events are not
    all in one transaction. A file is read twice: nothing is sent before each line has been looked at. What
    breaks it off afterwards says how far it came; ``--from-line`` goes on there. A process that was killed
    may have committed one batch more than it said: ``--skip-sent`` leaves out the ids that are stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final
from uuid import UUID

from django.core.management.base import CommandError

from ..engine.receive import prepare_event, store_events
from ..exceptions import DurableError
from ..ids import new_id
from ..store.base import EventRow
from ..store.event import find_sent
from .console import Console
from .event_lines import Given

BATCH: Final = 1_000
NIL: Final = UUID(int=0)
TELL_EACH: Final = 2.0
"""Seconds between two lines of progress."""


@dataclass(slots=True)
class Sending:
    """How far it has come."""

    sent: int = 0
    skipped: int = 0
    last: Given | None = None
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """The seconds since it began."""
        return time.monotonic() - self.began

    def say(self) -> str:
        """Return how far it has come, in words."""
        rate = self.sent / max(self.seconds, 0.001)
        until = f", up to {self.last.place}" if self.last else ""
        skipped = f", {self.skipped:,} sent before" if self.skipped else ""
        return f"Sent {self.sent:,} events ({rate:,.0f} a second){skipped}{until}."


def check_lines(console: Console, given: Iterable[Given]) -> int:
    """Look at each event without sending it and return how many there are.

    Raises:
        CommandError: One cannot be sent; names its line.
    """
    count, told = 0, time.monotonic()
    for each in given:
        _prepare(each, NIL)
        count += 1
        if time.monotonic() - told > TELL_EACH:
            console.note(f"Checked {count:,} events.")
            told = time.monotonic()
    return count


def send_lines(using: str, console: Console, given: Iterator[Given], *, skip_sent: bool) -> Sending:
    """Send the events in batches; tell how far it came, also when it is broken off.

    Raises:
        CommandError: An event cannot be sent; of its batch none was.
    """
    sending = Sending()
    try:
        while batch := list(islice(given, BATCH)):
            _send_batch(using, sending, batch, skip_sent=skip_sent)
            if time.monotonic() - sending.told > TELL_EACH:
                sending.told = time.monotonic()
                console.note(sending.say())
    except BaseException:
        console.note(_say_rest(sending))
        raise
    return sending


def _send_batch(using: str, sending: Sending, batch: list[Given], *, skip_sent: bool) -> None:
    ids = sorted(new_id() for _ in batch)  # so that the order of ids is the order of the lines
    rows = [_prepare(*pair) for pair in zip(batch, ids, strict=True)]
    new = _leave_out_sent(using, rows) if skip_sent else rows
    if new:
        store_events(using, new)
    sending.sent += len(new)
    sending.skipped += len(rows) - len(new)
    sending.last = batch[-1]


def _prepare(given: Given, id: UUID) -> EventRow:
    try:
        return prepare_event(given.event, "", "code", id)
    except DurableError as error:
        raise CommandError(f"{given.place}: {error}") from error


def _leave_out_sent(using: str, rows: list[EventRow]) -> list[EventRow]:
    named = [row.external_id for row in rows if row.external_id is not None]
    if not named:
        return rows
    stored = find_sent(using, named)
    return [row for row in rows if (row.name, row.external_id) not in stored]


def _say_rest(sending: Sending) -> str:
    begin = sending.last.number + 1 if sending.last else 1
    unit = sending.last.unit if sending.last else "line"
    return f"{sending.say()} It broke off; --from-line {begin} goes on with the {unit} after it."
