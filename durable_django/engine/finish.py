"""The door through which ordinary ends are written, those of concurrent runs together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections

from ..store.base import Finish
from ..store.connections import refresh_connections
from ..store.finish import finish_runs
from .desk import Desk, count_leaders, forget_in_child

_desks: dict[str, Desk[Finish]] = {}
forget_in_child(_desks)


def get_finish_desk(using: str) -> Desk[Finish]:
    """Return this process's desk for the ends of runs; a forked child has its own."""
    desk = _desks.get(using)
    if desk is None:
        made: Desk[Finish] = Desk(
            lambda ends: finish_runs(using, ends, wait=False),
            begin=refresh_connections,
            leaders=count_leaders(using),
        )
        desk = _desks.setdefault(using, made)
    return desk


def write_finish(using: str, finish: Finish) -> bool:
    """End a run whose end concerns nobody else; return False if it is not owned any more."""
    if connections[using].in_atomic_block:
        return finish_runs(using, [finish])[0]
    return get_finish_desk(using).write(finish) or finish_runs(using, [finish])[0]


async def awrite_finish(using: str, finish: Finish, ask: Callable[..., Any]) -> bool:
    """End a run from an event loop; ``ask`` runs a database function in a thread."""
    return await get_finish_desk(using).awrite(finish) or (await ask(finish_runs, using, [finish]))[0]
