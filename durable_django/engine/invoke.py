"""Call the function of a step: guard against nested steps, and the transaction of an atomic step.

Note [An atomic step commits its rows and its checkpoint together]
    The function runs in a transaction on the database of the durable tables and the checkpoint is inserted
    there last, under the fence. If the lease is gone, or the step has a result already, the whole
    transaction is rolled back, the function's rows with it; so they exist exactly once.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..define.calls import RunCall
from ..define.step_key import current_key
from ..exceptions import ExitRaised, StepNested
from ..store.base import StepWrite
from .checkpoint import Recorded, settle, write_here
from .effects import InvokeAtomic
from .error_text import read_message, read_name
from .frame import Frame, await_within, limited_statements
from .interrupts import Interrupt, NestedStep, Released

_current: ContextVar[_Guard | None] = ContextVar("durable_django_step", default=None)


class _Guard:
    """Marks the enclosed code as the function of a step, which may ask for its key.

    Raises:
        StepNested: It called a step, whatever it made of the interrupt.
        ExitRaised: It raised what is meant to end a process; see ``no_exits`` for ``ctrl_c``.
    """

    # Not a generator function: one of these is entered for every step.
    __slots__ = ("_ctrl_c", "_frame", "_key_token", "_token", "error", "name")

    def __init__(self, name: str, frame: Frame, ctrl_c: bool = False) -> None:
        self.name = name
        self.error: StepNested | None = None
        self._frame = frame
        self._ctrl_c = ctrl_c

    def __enter__(self) -> None:
        self._token = _current.set(self)
        self._key_token = current_key.set(self._frame.make_key)

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        current_key.reset(self._key_token)
        _current.reset(self._token)
        if isinstance(raised, NestedStep):
            raise raised.error from None
        if raised is None and self.error is not None:
            raise self.error
        if raised is not None:
            refuse_exit(raised, f"step {self.name!r}", self._ctrl_c)


def current_step() -> str:
    """Return the id of the step whose function is running, or nothing between steps."""
    guard = _current.get()
    return "" if guard is None else guard.name


def refuse_nested(name: str) -> None:
    """Raise if the calling code is itself the function of a step.

    Raises:
        NestedStep: It is; ``except Exception`` in the step cannot hide that.
    """
    guard = _current.get()
    if guard is not None:
        guard.error = StepNested(inner=name, outer=guard.name)
        raise NestedStep(guard.error)


def call_function(call: RunCall, frame: Frame) -> Any:
    """Call a plain function, or run a coroutine function to its end.

    Raises:
        StepTimeout: It took longer than the timeout of the step.
    """
    started = frame.start()
    if inspect.iscoroutinefunction(call.function):
        return async_to_sync(acall_function)(call, started)
    with _Guard(call.name, started):
        value = call.function(*call.args, **call.kwargs)
        started.check()
        return value


async def acall_function(call: RunCall, frame: Frame, *, ctrl_c: bool = False) -> Any:
    """Call a coroutine function and await its end or its deadline.

    Raises:
        StepTimeout: It took longer than the timeout of the step.
    """
    with _Guard(call.name, frame, ctrl_c):
        return await await_within(frame, call.function(*call.args, **call.kwargs))


def call_atomic(using: str, effect: InvokeAtomic) -> Recorded:
    """Call the function and write its checkpoint in one transaction; return what is stored then.

    Raises:
        LeaseLost: The run is owned by somebody else; the function's rows were rolled back.
    """
    for delay in (0.01, 0.05, 0.2):
        try:
            return _try_atomic(using, effect)
        except OperationalError as error:
            if not _is_conflict(using, error):
                raise
            time.sleep(delay * random.uniform(0.5, 1.5))
    return _try_atomic(using, effect)


def _try_atomic(using: str, effect: InvokeAtomic) -> Recorded:
    frame = effect.frame.start()
    try:
        with transaction.atomic(using=using):
            with limited_statements(using, frame):
                value = call_function(effect.call, frame)
            step = effect.encode(value)
            if not write_here(using, step):
                raise _NotWritten(step)
    except _NotWritten as refused:
        return settle(using, refused.step, False)
    return settle(using, step, True)


class _NotWritten(BaseException):
    def __init__(self, step: StepWrite) -> None:
        super().__init__()
        self.step = step


def _is_conflict(using: str, error: OperationalError) -> bool:
    # Serialization failure and deadlock: the transaction was rolled back whole and may be tried again.
    state = getattr(error.__cause__, "sqlstate", None)
    return not connections[using].in_atomic_block and state in ("40001", "40P01")


class restored_connections:  # noqa: N801  used like a function
    """Close what the enclosed code left in a transaction that it did not end; the next write starts clean."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = {each.alias: read_depth(each) for each in connections.all(initialized_only=True)}

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        for connection in connections.all(initialized_only=True):
            restore(connection, self._before.get(connection.alias, 0))


def restore(connection: BaseDatabaseWrapper, depth: int) -> None:
    """Close a connection whose transaction blocks are not those that it had before."""
    if read_depth(connection) == depth and (depth or connection.autocommit or connection.connection is None):
        return
    # In this state close() gives the connection up; the next connect() resets all the rest.
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.close()


def read_depth(connection: BaseDatabaseWrapper) -> int:
    """Return how many transaction blocks are open on the connection."""
    return int(connection.in_atomic_block) + len(connection.savepoint_ids)


@contextmanager
def no_exits(where: str, *, ctrl_c: bool = False) -> Iterator[None]:
    """Turn what is meant to end a process, such as ``sys.exit()``, into an error that can be recorded.

    ``ctrl_c`` says that a KeyboardInterrupt is that of the main thread, on whose behalf this one works.

    Raises:
        ExitRaised: The enclosed code raised such an exception.
    """
    try:
        yield
    except BaseException as error:
        refuse_exit(error, where, ctrl_c)
        raise


def refuse_exit(error: BaseException, where: str, ctrl_c: bool) -> None:
    """Raise instead of an exception that is meant to end a process.

    Raises:
        ExitRaised: ``error`` is such a one.
        Released: It is that of a signal; see Note [A signal in a forked child is no failure].
    """
    if _is_signal(error):
        raise Released from error
    if isinstance(error, (Exception, Interrupt, GeneratorExit)) or _is_meant(error, ctrl_c):
        return
    raise ExitRaised(where=where, name=read_name(error), said=read_message(error)) from error


# Note [A signal in a forked child is no failure]
#     Celery's forked children turn SIGTERM, which some supervisors send to every process of a service, into
#     a SystemExit wherever their main thread happens to be, its code the signal's number less 256. The step
#     has not failed: the run is given back, and another worker executes the step again.
_TERMINATED: Final = signal.SIGTERM - 256


def _is_signal(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code == _TERMINATED


def _is_meant(error: BaseException, ctrl_c: bool) -> bool:
    """Tell the user's Ctrl-C and a cancellation from outside, which must go through."""
    if isinstance(error, KeyboardInterrupt):
        return ctrl_c or threading.current_thread() is threading.main_thread()
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return False
    return task is not None and task.cancelling() > 0
