"""One body for both kinds: a generator that yields each of its calls becomes ``def`` or ``async def``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

Body = Callable[..., Any]


def make_plain(body: Body) -> Body:
    """Return a ``def`` workflow function for a body that yields each of its calls."""

    @functools.wraps(body)
    def run(ctx: Any) -> Any:
        steps, answer = body(ctx), None
        while True:
            try:
                answer = steps.send(answer)
            except StopIteration as done:
                return done.value

    return run


def make_async(body: Body) -> Body:
    """Return an ``async def`` workflow function for a body that yields each of its calls."""

    @functools.wraps(body)
    async def run(ctx: Any) -> Any:
        steps, answer, failure = body(ctx), None, None
        while True:
            try:
                awaited = steps.send(answer) if failure is None else steps.throw(failure)
            except StopIteration as done:
                return done.value
            answer, failure = None, None
            try:
                answer = await awaited
            except BaseException as error:
                failure = error

    return run


def make(kind: str, body: Body) -> Body:
    """Return the function of one kind for a body, which may also be a plain function."""
    made = MAKERS[kind](body if inspect.isgeneratorfunction(body) else _lift(body))
    made.__dict__.pop("__wrapped__", None)
    return made


def _lift(body: Body) -> Body:
    @functools.wraps(body)
    def steps(ctx: Any) -> Any:
        return body(ctx)
        yield

    return steps


MAKERS = {"def": make_plain, "async": make_async}
