"""``@workflow``: turn a function into an immutable definition that can be started."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from ..exceptions import InvalidDefinition
from .cancel import Cancel, read_rules
from .endings import CANCELLED, FAILED, handler_options
from .hooks import Hook, check_hooks
from .registry import registry
from .retries import check_backoff, check_durability, check_retries
from .timeouts import Timeouts
from .triggers import Trigger, read_triggers

if TYPE_CHECKING:
    from ..engine.handle import RunHandle

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Workflow(Generic[P, R]):
    """A durable function. Call it to run it plainly; ``start`` it to run it durably."""

    id: str
    function: Callable[P, R]
    triggers: tuple[Trigger, ...] = ()
    retries: int | None = None
    backoff: Any = None
    queue: str | None = None
    version: str = ""
    durability: str = "full"
    idempotency: str | None = None
    timeouts: Timeouts | None = None
    hooks: tuple[Hook, ...] = ()
    cancel_on: tuple[Cancel, ...] = ()
    handles: str = ""  # the id of the workflow whose ends this one handles

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def is_async(self) -> bool:
        """Tell whether the function is ``async def``."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def where(self) -> str:
        """Return the place of the function, as module and line."""
        function = inspect.unwrap(self.function)
        code = function.__code__
        return f"{function.__module__}.{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"

    def start(
        self, data: Mapping[str, Any] | None = None, *, key: str | None = None, subject: Any = None
    ) -> RunHandle:
        """Start a run in the caller's transaction; rolled back, it never happened.

        Args:
            data: What ``ctx.event.data`` will be.
            key: At most one run a key is started in IDEMPOTENCY_HOURS; a second call returns its handle.
            subject: A saved model instance that the run is about, or a list of them; see ``Context.link``.

        Returns:
            A handle with ``id``, ``status`` and ``result(timeout=)``.

        Raises:
            InvalidEvent, EventTooLarge, Unserializable: The data cannot be stored.
        """
        from ..engine.start import start_workflow

        return start_workflow(self, data or {}, key=key, subject=subject)

    async def astart(
        self, data: Mapping[str, Any] | None = None, *, key: str | None = None, subject: Any = None
    ) -> RunHandle:
        """Start a run from async code; see ``start``."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.start)(data, key=key, subject=subject)


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    id: str | None = None,
    trigger: str | Trigger | Sequence[str | Trigger] | None = None,
    retries: int | None = None,
    backoff: Any = None,
    queue: str | None = None,
    version: str = "",
    durability: str = "full",
    idempotency: str | None = None,
    timeouts: Timeouts | None = None,
    hooks: Sequence[Hook] = (),
    cancel_on: Cancel | Sequence[Cancel] = (),
    on_failure: Callable[..., Any] | None = None,
    on_cancel: Callable[..., Any] | None = None,
) -> Callable[[Callable[P, R]], Workflow[P, R]]: ...
def workflow(
    function: Callable[P, R] | None = None,
    /,
    *,
    id: str | None = None,
    trigger: str | Trigger | Sequence[str | Trigger] | None = None,
    retries: int | None = None,
    backoff: Any = None,
    queue: str | None = None,
    version: str = "",
    durability: str = "full",
    idempotency: str | None = None,
    timeouts: Timeouts | None = None,
    hooks: Sequence[Hook] = (),
    cancel_on: Cancel | Sequence[Cancel] = (),
    on_failure: Callable[..., Any] | None = None,
    on_cancel: Callable[..., Any] | None = None,
) -> Any:
    """Declare a durable function, ``def`` or ``async def``, whose only argument is the context.

    Args:
        id: Its name in the store; the function's name with dashes if not given. Keep it for ever.
        trigger: One or a list of triggers; a string is an event's name.
        retries: Further attempts for its steps and for the code between them, 0 to 20.
        backoff: The delay between attempts: a duration, a list of them, or a function of the attempt.
        queue: Where its work is queued; DEFAULT_QUEUE if not given.
        version: Text of at most 64 characters; that of the code that executed a run last is on the run.
        durability: "full", or "relaxed": step checkpoints do not wait for PostgreSQL's disk. A crash of a
            worker still loses nothing; one of the database server may make the last steps run again.
        idempotency: A CEL expression on ``event``, such as ``event.data.order_id``: of the events with an equal
            value, only the first in IDEMPOTENCY_HOURS starts a run.
        timeouts: Cancel runs that do not start, or do not finish, in time.
        hooks: Hook objects for this workflow alone, inside those of the setting HOOKS.
        cancel_on: Up to 5 events that cancel its runs, wherever they stand.
        on_failure: A workflow function, ``def`` or ``async def``, that runs on its own when a run has failed;
            its event is ``durable/run.failed`` with the original ``event`` and the ``error`` in its data.
        on_cancel: The same when a run was cancelled, with the ``reason``.

    Raises:
        InvalidDefinition: An argument cannot work.
        DuplicateWorkflow: The id is taken.
    """

    def declare(function: Callable[P, R]) -> Workflow[P, R]:
        where = f"@workflow {getattr(function, '__qualname__', function)!s}"
        name = id if id is not None else function.__name__.replace("_", "-")
        _check(where, function, name, queue)
        check_retries(retries, where)
        check_backoff(backoff, where)
        check_durability(durability, where)
        _check_options(where, idempotency, timeouts)
        _check_version(where, version)
        declared = Workflow(
            id=name,
            function=function,
            triggers=read_triggers(trigger, where),
            retries=retries,
            backoff=backoff,
            queue=queue,
            version=version,
            durability=durability,
            idempotency=idempotency,
            timeouts=timeouts,
            hooks=check_hooks(hooks, where),
            cancel_on=read_rules(cancel_on, where),
        )
        handlers = _build_handlers(declared, where, {FAILED: on_failure, CANCELLED: on_cancel})
        for each in (declared, *handlers):
            registry.add(each)
        return declared

    return declare if function is None else declare(function)


def _build_handlers(
    declared: Workflow[Any, Any], where: str, handlers: Mapping[str, Callable[..., Any] | None]
) -> list[Workflow[Any, Any]]:
    built = []
    for event, function in handlers.items():
        if function is not None:
            options = handler_options(declared.id, event, function)
            _check(where, function, options["id"], declared.queue)
            built.append(
                Workflow(**options, queue=declared.queue, retries=declared.retries, hooks=declared.hooks)
            )
    return built


def _check_options(where: str, idempotency: Any, timeouts: Any) -> None:
    if idempotency is not None and (not isinstance(idempotency, str) or not idempotency.strip()):
        raise InvalidDefinition(where=where, reason=f"idempotency={idempotency!r} is not an expression")
    if timeouts is not None and not isinstance(timeouts, Timeouts):
        raise InvalidDefinition(where=where, reason=f"timeouts={timeouts!r} is not Timeouts(start=, finish=)")


def _check_version(where: str, version: Any) -> None:
    if not isinstance(version, str) or len(version) > 64:
        raise InvalidDefinition(
            where=where, reason=f"version={version!r} is not text of at most 64 characters"
        )


def _check(where: str, function: Any, name: Any, queue: Any) -> None:
    if not inspect.isfunction(inspect.unwrap(function)):
        raise InvalidDefinition(where=where, reason="only a def or async def can be a workflow")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidDefinition(where=where, reason="a generator cannot be a workflow")
    if not _takes_context(function):
        raise InvalidDefinition(where=where, reason="a workflow takes the context as its only argument")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise InvalidDefinition(where=where, reason=f"the id {name!r} does not have 1 to 200 characters")
    if queue is not None and (not isinstance(queue, str) or not 0 < len(queue) <= 64):
        raise InvalidDefinition(where=where, reason=f"the queue {queue!r} does not have 1 to 64 characters")


def _takes_context(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    return True
