"""Send a signal: it ends the one wait that is open for its name, or it is refused; it is never stored."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from ..conf import settings
from ..exceptions import InvalidSignal, SignalNotAwaited
from ..ids import new_id
from ..store.signal import Delivery, deliver_signal
from .alias import get_alias
from .codec import encode
from .nudge import Nudge
from .seal import seal_signal
from .start import nudge_after_commit

NAME_LENGTH = 255


def send_signal(name: str, data: Any = None) -> str:
    """Resume the run that waits for a signal, in the caller's transaction: rolled back, it still waits.

    Args:
        name: The name that ``step.wait_for_signal`` was given.
        data: What that step returns with it; at most EVENT_BYTES when encoded.

    Returns:
        The id of the run.

    Raises:
        SignalNotAwaited: No run waits for it now.
        InvalidSignal, Unserializable: The name or the data cannot be used.
    """
    using = get_alias()
    check_signal(name)
    output = encode_signal(name, data)
    delivery = Delivery(id=new_id(), signal=name, output=output)
    found = deliver_signal(using, delivery, renudge=settings.RENUDGE_SECONDS)
    if found is None:
        raise SignalNotAwaited(name=name)
    run_id, woken = found
    nudge_after_commit(using, [Nudge(*each) for each in woken])
    return str(run_id)


def encode_signal(name: str, data: Any) -> str:
    """Return the memo of a wait that a signal ended.

    Raises:
        InvalidSignal, Unserializable: The data cannot be used.
    """
    output = encode({"signal": name, "data": seal_signal(name, data)}, what=f"signal {name!r}: ")
    if len(output) > settings.EVENT_BYTES:
        reason = f"its data has {len(output)} bytes, at most {settings.EVENT_BYTES}"
        raise InvalidSignal(name=name, reason=reason)
    return output


async def asend_signal(name: str, data: Any = None) -> str:
    """Resume the run that waits for a signal, from async code; see ``send_signal``."""
    return await sync_to_async(send_signal)(name, data)


def check_signal(name: Any) -> str:
    """Return the name of a signal.

    Raises:
        InvalidSignal: It is empty, too long, or has characters that no store takes.
    """
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
        raise InvalidSignal(name=name, reason=f"a name is text of 1 to {NAME_LENGTH} characters")
    if "\x00" in name or any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidSignal(name=ascii(name), reason="a name has no NUL and no lone surrogate")
    return name
