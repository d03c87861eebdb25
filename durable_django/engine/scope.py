"""Scopes: which branch of a workflow a call stands in, so that its memo is found whatever the order.

Note [A memo's index tells its branch]
    Branches run in any order, and on replay in another one. So uses of an id are counted for each branch
    alone, and the stored index is (branch number of each level, count): 16 bits a level, three levels, and
    15 bits for the count, all in one signed 64-bit number. Outside a group it is the count itself.

Note [An asyncio task is known by its first step]
    Tasks that the workflow makes itself (``gather``, ``TaskGroup``) have no number that is the same in each
    replay, since what else they await reorders them. A task that calls a step in a scope that it does not
    own gets a scope of its own, named by the id of that step and by how many such tasks began with it
    before. The index of what it calls is negative: 48 bits of a hash of that name, and the count.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any

from ..exceptions import StepUsage
from .interrupts import Fatal, Interrupt

COUNT_BITS, BRANCH_BITS, LEVELS = 15, 16, 3


class Scope:
    """The workflow itself, one branch, or a task; ``left`` is the interrupt by which the branch was left."""

    def __init__(self, path: tuple[int, ...] = (), owner: asyncio.Task[Any] | None = None) -> None:
        self.path = path
        self.owner = owner
        self.left: Interrupt | None = None
        self.remote = False
        self._branches = 0
        self._adopted: Counter[str] = Counter()
        self._packed = 0
        for number in path:
            self._packed = self._packed << BRANCH_BITS | (number + 1)

    @property
    def _hash(self) -> int | None:
        return ~self.path[0] if self.path and self.path[0] < 0 else None

    def split(self, count: int, *, remote: bool = False) -> list[Scope]:
        """Return the scopes of the next ``count`` branches; ``remote`` ones leave their steps to other workers.

        Raises:
            Fatal: Groups are nested too deeply or there are too many branches.
        """
        first = self._branches
        self._branches += count
        if len(self.path) >= LEVELS:
            raise Fatal(StepUsage(step="parallel", reason=f"groups can be nested {LEVELS} levels deep"))
        if self._branches >= 1 << BRANCH_BITS:
            raise Fatal(StepUsage(step="parallel", reason=f"{self._branches} branches in one place"))
        scopes = [Scope(self._name_branch(first + number)) for number in range(count)]
        for scope in scopes:
            scope.remote = remote
        return scopes

    def _name_branch(self, number: int) -> tuple[int, ...]:
        return (*self.path, number) if self._hash is None else self._name_hashed("branch", number)

    def _name_hashed(self, *parts: object) -> tuple[int, ...]:
        text = repr((self.path, parts)).encode("utf-8", "surrogatepass")
        return (~int.from_bytes(blake2b(text, digest_size=6).digest(), "big"),)

    def adopt(self, task: asyncio.Task[Any], name: str) -> Scope:
        """Return the scope of a task whose first step is called ``name``."""
        number = self._adopted[name]
        self._adopted[name] += 1
        scope = Scope(self._name_hashed("task", name, number), task)
        scope.remote = self.remote
        return scope

    def index(self, count: int) -> int:
        """Return the index that is stored for the ``count``-th use of an id in this scope."""
        if self._hash is not None:
            return ~(self._hash << COUNT_BITS | count)
        return self._packed << COUNT_BITS | count


def read_index(index: int) -> tuple[tuple[int, ...], int]:
    """Return the path of the scope, and the count, that an index stands for."""
    mask = (1 << COUNT_BITS) - 1
    if index < 0:
        return (~(~index >> COUNT_BITS),), ~index & mask
    packed, count = index >> COUNT_BITS, index & mask
    path: list[int] = []
    while packed:
        path.insert(0, (packed & (1 << BRANCH_BITS) - 1) - 1)
        packed >>= BRANCH_BITS
    return tuple(path), count


current_scope: ContextVar[Scope] = ContextVar("durable_django_scope")
