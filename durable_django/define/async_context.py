"""The context as an ``async def`` workflow sees it: the same tools, whose results are awaited.

These are types only. The object that a workflow gets is a ``Context`` in both cases; annotate the argument
of an ``async def`` workflow with ``AsyncContext`` and type checkers know what ``await`` gives.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, overload

from ..types import Duration, Event, Instant
from .ai import Adapter
from .waits import Wait
from .workflow import Workflow

R = TypeVar("R")
T = TypeVar("T")


class AsyncStepTools(Protocol):
    """``ctx.step`` in an ``async def`` workflow; the tools are described at ``StepTools``."""

    @overload
    def run(
        self,
        id: str,
        fn: Callable[..., Any],
        /,
        *args: Any,
        output_type: type[T],
        retries: int | None = None,
        backoff: Any = None,
        atomic: bool = False,
        timeout: Duration | None = None,
        **kwargs: Any,
    ) -> Awaitable[T]: ...
    @overload
    def run(
        self,
        id: str,
        fn: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        output_type: None = None,
        retries: int | None = None,
        backoff: Any = None,
        atomic: bool = False,
        timeout: Duration | None = None,
        **kwargs: Any,
    ) -> Awaitable[R]: ...
    @overload
    def run(
        self,
        id: str,
        fn: Callable[..., R],
        /,
        *args: Any,
        output_type: None = None,
        retries: int | None = None,
        backoff: Any = None,
        atomic: bool = False,
        timeout: Duration | None = None,
        **kwargs: Any,
    ) -> Awaitable[R]: ...

    @property
    def key(self) -> str:
        """See ``StepTools.key``."""

    def sleep(self, id: str, duration: Duration) -> Awaitable[None]:
        """See ``StepTools.sleep``."""

    def sleep_until(self, id: str, until: Instant) -> Awaitable[None]:
        """See ``StepTools.sleep_until``."""

    def wait_for_event(
        self,
        id: str,
        *,
        event: str,
        timeout: Duration,
        match: str | None = None,
        if_exp: str | None = None,
        since: Literal["run"] | None = None,
    ) -> Awaitable[Event | None]:
        """See ``StepTools.wait_for_event``."""

    def wait_for_signal(
        self,
        id: str,
        *,
        signal: str,
        timeout: Duration,
        on_conflict: Literal["fail", "replace"] = "fail",
    ) -> Awaitable[dict[str, Any] | None]:
        """See ``StepTools.wait_for_signal``."""

    def wait_for_any(
        self, id: str, waits: Sequence[Wait], *, timeout: Duration
    ) -> Awaitable[tuple[int, Any] | None]:
        """See ``StepTools.wait_for_any``."""

    def wait_for_all(self, id: str, waits: Sequence[Wait], *, timeout: Duration) -> Awaitable[list[Any]]:
        """See ``StepTools.wait_for_all``."""

    def send_event(
        self, id: str, events: Event | Mapping[str, Any] | Sequence[Event | Mapping[str, Any]]
    ) -> Awaitable[list[str]]:
        """See ``StepTools.send_event``."""

    def invoke(
        self,
        id: str,
        *,
        function: Workflow[Any, Any],
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Awaitable[Any]:
        """See ``StepTools.invoke``."""

    def invoke_by_id(
        self,
        id: str,
        *,
        function_id: str,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Awaitable[Any]:
        """See ``StepTools.invoke_by_id``."""

    @property
    def ai(self) -> AsyncAiTools:
        """See ``StepTools.ai``."""

    def fetch(
        self,
        id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        json: Any = None,
        timeout: Duration | None = None,
        max_bytes: int | None = None,
        redirects: int = 0,
        key_header: str | None = None,
        retries: int | None = None,
        backoff: Any = None,
    ) -> Awaitable[dict[str, Any]]:
        """See ``StepTools.fetch``."""


class AsyncGroupTools(Protocol):
    """``ctx.group`` in an ``async def`` workflow."""

    def parallel(
        self,
        branches: Sequence[Callable[[], Awaitable[Any]]],
        *,
        mode: str = "wait",
        where: Literal["here", "workers"] = "here",
    ) -> Awaitable[tuple[Any, ...]]:
        """See ``GroupTools.parallel``."""


class AsyncAiTools(Protocol):
    """``ctx.step.ai`` in an ``async def`` workflow; see ``AiTools``."""

    def infer(
        self,
        id: str,
        *,
        adapter: Adapter,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: Duration = ...,
        max_bytes: int | None = None,
        retries: int | None = None,
        backoff: Any = None,
    ) -> Awaitable[Any]:
        """See ``AiTools.infer``."""

    def wrap(
        self,
        id: str,
        fn: Callable[..., Any],
        /,
        *args: Any,
        retries: int | None = None,
        backoff: Any = None,
        timeout: Duration | None = None,
        **kwargs: Any,
    ) -> Awaitable[Any]:
        """See ``AiTools.wrap``."""


class AsyncContext(Protocol):
    """What an ``async def`` workflow knows of its run; see ``Context``."""

    workflow: Workflow[Any, Any]
    run_id: str
    event: Event
    events: list[Event]
    logger: logging.LoggerAdapter[logging.Logger]
    step: AsyncStepTools
    group: AsyncGroupTools

    @property
    def attempt(self) -> int:
        """The number of failed attempts of the current step, or of the code between steps."""

    @property
    def version(self) -> str:
        """The version of the code that executes now, as ``workflow(version=)`` gives it."""

    def link(self, subject: Any, pk: Any = None) -> Awaitable[None]:
        """See ``Context.link``."""
