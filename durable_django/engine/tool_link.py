"""``ctx.link``: note what row of the project a run is about; no step, and written once.

Replay comes here again in each slice. The link is not remembered as a memo, so a line that is added to
the workflow also links the runs that have passed it; what exists already is left alone.
"""

from __future__ import annotations

from ..define.calls import LinkCall
from ..exceptions import InvalidSubject
from ..models.subject import name_subject
from ..store.subject import link_run
from .effects import Do
from .interrupts import Fatal, LeaseLost
from .slice import Slice
from .tools import Tool


def link(part: Slice, call: LinkCall) -> Tool:
    """Write the link unless it exists."""
    try:
        name = name_subject(call.subject, call.pk)
    except InvalidSubject as error:
        raise Fatal(error) from error
    claimed = part.claimed
    if not (yield Do(link_run, (part.using, claimed.id, claimed.token, name))):
        raise LeaseLost
    part.confirm()
