"""The context that a workflow gets, with its step tools.

The tools only describe a call and hand it to the engine's ``perform``. In an ``async def`` workflow
``perform`` returns an awaitable, so the same tools serve both kinds; ``AsyncContext`` is their type there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, Protocol, TypeVar, overload
from uuid import UUID

from ..types import Duration, Event, Instant
from .ai_tools import AiTools
from .calls import (
    AllCall,
    AnyCall,
    Call,
    EventCall,
    FetchCall,
    InvokeCall,
    LinkCall,
    RunCall,
    SendCall,
    SignalCall,
    SleepCall,
)
from .request_body import read_content
from .step_key import step_key
from .waits import EventWait, SignalWait, Wait
from .workflow import Workflow

R = TypeVar("R")
T = TypeVar("T")


class Engine(Protocol):
    """What carries out the calls of one slice."""

    def perform(self, call: Call) -> Any: ...

    def parallel(self, branches: Sequence[Any], mode: str, where: str) -> Any: ...

    @property
    def attempt(self) -> int: ...


class StepTools:
    """``ctx.step``: each method is a step, found again by its id and how often that id was used before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.ai = AiTools(engine)

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
    ) -> T: ...
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
    ) -> R: ...
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
    ) -> R: ...
    def run(
        self,
        id: str,
        fn: Callable[..., Any],
        /,
        *args: Any,
        retries: int | None = None,
        backoff: Any = None,
        atomic: bool = False,
        timeout: Duration | None = None,
        output_type: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Call ``fn(*args, **kwargs)`` once to success and return its stored result, also on replay.

        Args:
            retries: Further attempts, 0 to 20; else those of the workflow.
            backoff: A duration, a list of them, or a function of the attempt; else the table.
            atomic: Commit the function's ORM writes and the result in one transaction: exactly once.
            timeout: The time of one attempt; a coroutine is cancelled then, while a plain function goes on
                and its result is discarded. Either way the attempt failed with StepTimeout.
            output_type: A dataclass or pydantic model that the result is rebuilt as.

        Raises:
            StepError: The function ran out of attempts, or raised NonRetriableError.
        """
        return self._engine.perform(
            RunCall(
                name=id,
                function=fn,
                args=args,
                kwargs=kwargs,
                retries=retries,
                backoff=backoff,
                atomic=atomic,
                timeout=timeout,
                output_type=output_type,
            )
        )

    @property
    def key(self) -> str:
        """The idempotency key of the step whose function is running; see ``step_key``."""
        return step_key()

    def sleep(self, id: str, duration: Duration) -> None:
        """Sleep for a duration of at most 366 days; the worker is free meanwhile."""
        return self._engine.perform(SleepCall(name=id, duration=duration))  # type: ignore[no-any-return]

    def sleep_until(self, id: str, until: Instant) -> None:
        """Sleep until an instant; one that is past ends the sleep at once."""
        return self._engine.perform(SleepCall(name=id, until=until))  # type: ignore[no-any-return]

    def wait_for_event(
        self,
        id: str,
        *,
        event: str,
        timeout: Duration,
        match: str | None = None,
        if_exp: str | None = None,
        since: Literal["run"] | None = None,
    ) -> Event | None:
        """Wait for an event received from now on; return it, or None at the time-out.

        Args:
            event: The event's exact name.
            timeout: At most 366 days.
            match: A path such as ``data.order_id`` that must be equal in the triggering event and this one.
            if_exp: A CEL condition on ``event`` (the trigger) and ``async`` (the awaited event).
            since: "run" also considers events received since the run was created, earliest first; in a loop
                each of them is returned once.
        """
        wait = EventWait(event=event, match=match, if_exp=if_exp, since=since)
        return self._engine.perform(  # type: ignore[no-any-return]
            EventCall(name=id, waits=(wait,), timeout=timeout)
        )

    def wait_for_signal(
        self,
        id: str,
        *,
        signal: str,
        timeout: Duration,
        on_conflict: Literal["fail", "replace"] = "fail",
    ) -> dict[str, Any] | None:
        """Wait for a signal; return ``{"signal": …, "data": …}``, or None at the time-out.

        Args:
            signal: The name that ``send_signal`` is given; one wait in the whole system can be open for it.
            timeout: At most 366 days.
            on_conflict: If another wait is open for it: "fail" fails this run with the code
                ``signal_conflict``, "replace" ends the other wait at once as its time-out would.
        """
        wait = SignalWait(signal=signal, on_conflict=on_conflict)
        return self._engine.perform(  # type: ignore[no-any-return]
            SignalCall(name=id, waits=(wait,), timeout=timeout)
        )

    def wait_for_any(self, id: str, waits: Sequence[Wait], *, timeout: Duration) -> tuple[int, Any] | None:
        """Wait until the first of several waits ends; return its number and what came, or None if none did.

        Args:
            waits: 1 to 20 of EventWait and SignalWait; the others are closed when one ends.
            timeout: At most 366 days.
        """
        return self._engine.perform(  # type: ignore[no-any-return]
            AnyCall(name=id, waits=tuple(waits), timeout=timeout)
        )

    def wait_for_all(self, id: str, waits: Sequence[Wait], *, timeout: Duration) -> list[Any]:
        """Wait until all of several waits have ended; return what came, in order, with None for what did not.

        Args:
            waits: 1 to 20 of EventWait and SignalWait.
            timeout: At most 366 days.
        """
        return self._engine.perform(  # type: ignore[no-any-return]
            AllCall(name=id, waits=tuple(waits), timeout=timeout)
        )

    def send_event(
        self, id: str, events: Event | Mapping[str, Any] | Sequence[Event | Mapping[str, Any]]
    ) -> list[str]:
        """Send one or several events exactly once; return the list of their ids."""
        many = events if isinstance(events, Sequence) else [events]
        return self._engine.perform(SendCall(name=id, events=tuple(many)))  # type: ignore[no-any-return]

    def invoke(
        self,
        id: str,
        *,
        function: Workflow[Any, Any],
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Start another workflow, wait for its end and return its output.

        Args:
            function: The workflow.
            data: What its ``ctx.event.data`` will be.
            timeout: How long to wait, at most and by default 366 days; the invoked run goes on after it.

        Raises:
            StepError: It failed, was cancelled, or did not end in time ("invoke_timeout").
        """
        known: Any = function  # the engine refuses what is none
        return self.invoke_by_id(id, function_id=getattr(known, "id", known), data=data, timeout=timeout)

    def invoke_by_id(
        self,
        id: str,
        *,
        function_id: str,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Start the workflow of that id, wait for its end and return its output; see ``invoke``.

        Raises:
            StepError: As ``invoke``; and with "workflow_unknown" if there is no such workflow.
        """
        return self._engine.perform(
            InvokeCall(name=id, workflow=function_id, data=data or {}, timeout=timeout)
        )

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
    ) -> dict[str, Any]:
        """Send an HTTP request; return ``{"url", "status_code", "headers", "body"}``, whatever the status.

        Only public addresses and https, unless FETCH_ALLOW says more; no worker slot is held meanwhile. The
        headers of the request are not stored. Names of headers of the answer are in lower case; its body is
        text if it is text in its charset, else bytes.

        Args:
            body: What to send, text in UTF-8; or
            json: what to send as JSON.
            timeout: The time of one attempt with all its redirects; FETCH_TIMEOUT_SECONDS if not given.
            max_bytes: The longest body of an answer; FETCH_MAX_BYTES if not given.
            redirects: How many to follow, each checked as the URL was; credentials stay with their host.
            key_header: The header that carries the step's key, such as ``Idempotency-Key``.
            retries: Further attempts when there is no answer, 0 to 20; else those of the workflow.
            backoff: A duration, a list of them, or a function of the attempt; else the table.

        Raises:
            StepError: There is no answer to return; ``error_code`` is "fetch_failed", "fetch_refused" or
                "fetch_too_large".
        """
        content, kind = read_content(id, body, json)
        given = dict(headers or {})
        if kind and not any(name.lower() == "content-type" for name in given):
            given["Content-Type"] = kind
        return self._engine.perform(  # type: ignore[no-any-return]
            FetchCall(
                name=id,
                url=url,
                method=method,
                headers=given,
                content=content,
                timeout=timeout,
                max_bytes=max_bytes,
                redirects=redirects,
                key_header=key_header,
                retries=retries,
                backoff=backoff,
            )
        )


class GroupTools:
    """``ctx.group``: several branches at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def parallel(
        self,
        branches: Sequence[Callable[[], Any]],
        *,
        mode: str = "wait",
        where: Literal["here", "workers"] = "here",
    ) -> tuple[Any, ...]:
        """Run branches side by side, each a callable with any steps in it; return their values as a tuple.

        Branches have step ids of their own: the same id may be used in each. If one fails, the others are
        carried to their end and the first failure is raised then.

        Args:
            branches: At most 65,535; in an ``async def`` workflow callables that return awaitables.
            mode: "wait" or "race"; here every branch goes on as soon as it can in both.
            where: "here" on threads of this worker; with "workers", each call of a function that a module
                declares with ``@step`` becomes a run of its own, for any worker of the queue.
        """
        return self._engine.parallel(branches, mode, where)  # type: ignore[no-any-return]


class Context:
    """What a workflow knows of its run."""

    def __init__(
        self,
        *,
        engine: Engine,
        workflow: Workflow[Any, Any],
        run_id: UUID,
        event: Event,
        logger: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._engine = engine
        self.workflow = workflow
        self.run_id = str(run_id)
        self.event = event
        self.events = [event]
        self.logger = logger
        self.step = StepTools(engine)
        self.group = GroupTools(engine)

    @property
    def attempt(self) -> int:
        """The number of failed attempts of the current step, or of the code between steps."""
        return self._engine.attempt

    @property
    def version(self) -> str:
        """The version of the code that executes now, as ``workflow(version=)`` gives it."""
        return self.workflow.version

    def link(self, subject: Any, pk: Any = None) -> None:
        """Note that the run is about a row of the project: ``link(order)`` or ``link(Order, order_id)``.

        It is no step. However often the code is replayed, the link is stored once; find it by
        ``Run.objects.for_subject(order)``.

        Args:
            subject: A saved model instance, or a model class.
            pk: The primary key, with a class.
        """
        return self._engine.perform(LinkCall(name="link", subject=subject, pk=pk))  # type: ignore[no-any-return]


current_context: ContextVar[Context | None] = ContextVar("durable_django_context", default=None)
