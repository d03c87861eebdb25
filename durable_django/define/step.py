"""``@step``: a function that is a step inside a workflow and itself elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..exceptions import InvalidDefinition
from ..types import Duration
from .calls import RunCall
from .context import current_context
from .retries import check_backoff, check_retries, check_timeout
from .step_index import index_step

P = ParamSpec("P")
R = TypeVar("R")


class StepFunction(Generic[P, R]):
    """A function declared with ``@step``."""

    def __init__(self, function: Callable[P, R], *, name: str, **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        context = current_context.get()
        if context is None:
            return self.function(*args, **kwargs)
        call = RunCall(name=self.name, function=self.function, args=args, kwargs=kwargs, **self.options)
        return context._engine.perform(call)  # type: ignore[no-any-return]


@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...
@overload
def step(
    *,
    id: str | None = None,
    retries: int | None = None,
    backoff: Any = None,
    atomic: bool = False,
    timeout: Duration | None = None,
    output_type: Any = None,
) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...
def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    id: str | None = None,
    retries: int | None = None,
    backoff: Any = None,
    atomic: bool = False,
    timeout: Duration | None = None,
    output_type: Any = None,
) -> Any:
    """Make a function durable: called inside a workflow it is a step, elsewhere the plain function.

    Args:
        id: Its step id; the function's name if not given.
        retries: Further attempts, 0 to 20; else those of the workflow.
        backoff: A duration, a list of them, or a function of the attempt.
        atomic: Commit its ORM writes and its result in one transaction: exactly once.
        timeout: The time of one attempt; see ``StepTools.run``.
        output_type: A dataclass or pydantic model that the result is rebuilt as.

    Raises:
        InvalidDefinition: An argument cannot work.
    """

    def declare(function: Callable[P, R]) -> StepFunction[P, R]:
        where = f"@step {getattr(function, '__qualname__', function)!s}"
        if not callable(function) or inspect.isgeneratorfunction(function):
            raise InvalidDefinition(where=where, reason="only a function can be a step")
        check_retries(retries, where)
        check_backoff(backoff, where)
        check_timeout(timeout, where)
        index_step(function)
        return StepFunction(
            function,
            name=id or function.__name__,
            retries=retries,
            backoff=backoff,
            atomic=atomic,
            timeout=timeout,
            output_type=output_type,
        )

    return declare if function is None else declare(function)
