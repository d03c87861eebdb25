"""Park a run with all that its branches wait for, then look for events that came meanwhile.

Note [A look that a crash cut off is made up for]
    Routing that was under way while the wait was stored may have passed it over, and then only the look
    finds the event. So parking leaves ``crash_count`` at 1 until the look is over; the next claim after a
    crash finds it above 1 and looks once more for the waits that are stored already.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction

from ..conf import settings
from ..exceptions import SignalConflict
from ..store.base import is_postgres
from ..store.child import ChildStart, start_children
from ..store.event import stamp_events
from ..store.lease import settle_wait
from ..store.park import Park, park_run, read_wakeups
from ..store.retrying import repeatable
from ..store.signal import park_for_signals
from .cancel_rule import arm, has_rules
from .look import look
from .notes import read_notes
from .nudge import Nudge, expect, send_nudges
from .pending import Pending
from .slice import Slice
from .start import nudge_after_commit

logger = logging.getLogger("durable_django.execute")

LOOK_SECONDS = 5.0
"""When the sweep looks at a run that died between parking and its look for events."""


def park(part: Slice, pending: Sequence[Pending]) -> int | None:
    """Store the parking; return None, or the count of ended waits if one ended meanwhile.

    Raises:
        SignalConflict: It is to wait for a signal that another wait holds; nothing was stored.
    """
    request = _build(part, pending)
    children = [child for each in pending for child in each.children]
    names = _list_names(part, pending)
    wake_in = request.wake_in
    if not names:
        parked = _store(part.using, request, children)
    elif is_postgres(part.using):
        parked = _park_and_look(part, request, names, children)
    else:
        # One writer: nothing can be committed between the stamps and the waits.
        with transaction.atomic(using=part.using):
            stamp_events(part.using, names)
            parked = _store(part.using, request, children)
            if parked and any(wait.looks_from is not None for wait in request.waits):
                nudge_after_commit(part.using, look(part.using, part.claimed.id))
    if parked:
        expect(wake_in)
        return None
    wakeups: int | None = read_wakeups(part.using, part.claimed.id, part.claimed.token)
    if wakeups is None:
        logger.info("the run is owned by somebody else", extra={"run_id": str(part.claimed.id)})
    return wakeups


def _list_names(part: Slice, pending: Sequence[Pending]) -> list[str]:
    names = {wait.event_name for each in pending for wait in each.waits if wait.event_name}
    if part.claimed.crash_count > 1:
        names |= {name for each in pending for name in each.event_names}
    return sorted(names)


def _build(part: Slice, pending: Sequence[Pending], wake_in: float | None = None) -> Park:
    claimed = part.claimed
    first = min(pending, key=lambda each: each.wake_in)
    return Park(
        run_id=claimed.id,
        token=claimed.token,
        wakeups=claimed.wakeups,
        waits_for=first.waits_for,
        wake_in=first.wake_in if wake_in is None else wake_in,
        attempt=part.segment_attempt,
        attempt_steps=claimed.attempt_steps,
        steps=[each.step for each in pending if each.step is not None],
        waits=[wait for each in pending for wait in each.waits],
        attempts=[each.attempt for each in pending if each.attempt is not None],
        notes=read_notes(part),
    )


def _park_and_look(part: Slice, request: Park, names: list[str], children: list[ChildStart]) -> bool:
    using, claimed, wake_in = part.using, part.claimed, request.wake_in
    stamp_events(using, names)
    if not _store(using, request.until_look(min(wake_in, LOOK_SECONDS)), children):
        return False
    if settle_wait(using, claimed.id, claimed.token, wake_in, names):
        return True
    stamp_events(using, names)
    woken = look(using, claimed.id)
    settle_wait(using, claimed.id, claimed.token, wake_in, [])
    send_nudges(woken)
    return True


@repeatable
def _store(using: str, request: Park, children: list[ChildStart]) -> bool:
    if not children:
        return _store_parking(using, request)
    # Note [A child answers its parent as it ends]: the wait is there before the child can end.
    with transaction.atomic(using=using):
        parked = _store_parking(using, request)
        if parked:
            started = start_children(using, children, renudge=settings.RENUDGE_SECONDS)
            arm(using, [(child.start, child.event) for child in children if has_rules(child.start.workflow)])
            nudge_after_commit(using, [Nudge(*each) for each in started])
    return parked


def _store_parking(using: str, request: Park) -> bool:
    if not any(wait.signal for wait in request.waits):
        return park_run(using, request)
    claim = park_for_signals(using, request, renudge=settings.RENUDGE_SECONDS)
    if claim.taken is not None:
        raise SignalConflict(name=claim.taken.signal, run=claim.taken.run_id)
    nudge_after_commit(using, [Nudge(*each) for each in claim.woken])
    return claim.parked
