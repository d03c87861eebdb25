"""``ctx.step.ai``: calls of models as steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..types import Duration
from .ai import Adapter
from .calls import Call, InferCall, WrapCall

INFER_TIMEOUT = "10m"


class Performer(Protocol):
    """What carries out calls."""

    def perform(self, call: Call) -> Any: ...


class AiTools:
    """Ask a model, or keep what a library of yours asked it."""

    def __init__(self, engine: Performer) -> None:
        self._engine = engine

    def infer(
        self,
        id: str,
        *,
        adapter: Adapter,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: Duration = INFER_TIMEOUT,
        max_bytes: int | None = None,
        retries: int | None = None,
        backoff: Any = None,
    ) -> Any:
        """Ask a model and return the provider's answer, a dict; no worker slot is held meanwhile.

        Request, answer, model and token use are kept with the step, credentials never. 429 and 5xx are tried
        again, after the provider's Retry-After if it gives one.

        Args:
            adapter: ``OpenAI()``, ``Anthropic()`` or one of your own.
            model: The model's name, unless ``body`` has it.
            messages: The messages, unless ``body`` has them.
            body: Any further fields of the request.
            timeout: The time of one attempt, by default 10 minutes.
            max_bytes: The longest answer; FETCH_MAX_BYTES if not given.
            retries: Further attempts, 0 to 20; else those of the workflow.
            backoff: A duration, a list of them, or a function of the attempt; else the table.

        Raises:
            StepError: Out of attempts, or the provider refused the request (``error_code`` "ai_refused").
        """
        given = {"model": model, "messages": None if messages is None else list(messages)}
        fields = {name: value for name, value in given.items() if value is not None}
        return self._engine.perform(
            InferCall(
                name=id,
                adapter=adapter,
                body={**adapter.defaults, **(body or {}), **fields},
                timeout=timeout,
                max_bytes=max_bytes,
                retries=retries,
                backoff=backoff,
            )
        )

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
    ) -> Any:
        """Call ``fn(*args, **kwargs)`` as ``step.run`` does, and keep the arguments with the result.

        Args:
            retries: Further attempts, 0 to 20; else those of the workflow.
            backoff: A duration, a list of them, or a function of the attempt; else the table.
            timeout: The time of one attempt; see ``StepTools.run``.

        Raises:
            StepError: The function ran out of attempts, or raised NonRetriableError.
        """
        return self._engine.perform(
            WrapCall(
                name=id,
                function=fn,
                args=args,
                kwargs=kwargs,
                retries=retries,
                backoff=backoff,
                timeout=timeout,
            )
        )
