"""What a workflow asks for: one value a step tool, carried out by the engine and changed by nobody.

See Note [Values of the hot path are not frozen].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..types import Duration, Event, Instant
from .ai import Adapter
from .waits import EventWait, Wait


@dataclass(slots=True, kw_only=True)
class Call:
    """A call of a step tool; ``kind`` is what is stored with its memo."""

    kind: ClassVar[str]
    name: str


@dataclass(slots=True, kw_only=True)
class TriedCall(Call):
    """A call that is tried again when it fails."""

    retries: int | None = None
    backoff: Any = None


@dataclass(slots=True, kw_only=True)
class RunCall(TriedCall):
    """``step.run``: call a function once to success."""

    kind: ClassVar[str] = "run"
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    atomic: bool = False
    timeout: Duration | None = None
    output_type: Any = None


@dataclass(slots=True, kw_only=True)
class SleepCall(Call):
    """``step.sleep`` and ``step.sleep_until``: exactly one of the two is given."""

    kind: ClassVar[str] = "sleep"
    duration: Duration | None = None
    until: Instant | None = None


@dataclass(slots=True, kw_only=True)
class WaitCall(Call):
    """The tools that wait for events and signals: one wait, or several of which any or all end the step."""

    mode: ClassVar[str] = ""
    waits: tuple[Wait, ...]
    timeout: Duration

    @property
    def event_names(self) -> tuple[str, ...]:
        """The names of the events, each once."""
        return tuple(dict.fromkeys(wait.event for wait in self.waits if isinstance(wait, EventWait)))

    @property
    def looks_back(self) -> bool:
        """Tell whether events count that were received before the step was reached."""
        return any(isinstance(wait, EventWait) and wait.since is not None for wait in self.waits)

    @property
    def waits_for(self) -> str:
        """What operators are shown."""
        return "event" if self.event_names else "signal"


@dataclass(slots=True, kw_only=True)
class EventCall(WaitCall):
    """``step.wait_for_event``."""

    kind: ClassVar[str] = "event"


@dataclass(slots=True, kw_only=True)
class SignalCall(WaitCall):
    """``step.wait_for_signal``."""

    kind: ClassVar[str] = "signal"


@dataclass(slots=True, kw_only=True)
class AnyCall(WaitCall):
    """``step.wait_for_any``."""

    kind: ClassVar[str] = "any"
    mode: ClassVar[str] = "any"


@dataclass(slots=True, kw_only=True)
class AllCall(WaitCall):
    """``step.wait_for_all``."""

    kind: ClassVar[str] = "all"
    mode: ClassVar[str] = "all"


@dataclass(slots=True, kw_only=True)
class SendCall(Call):
    """``step.send_event``; ``many`` tells a list from a single event."""

    kind: ClassVar[str] = "send"
    events: Sequence[Event | Mapping[str, Any]]


@dataclass(slots=True, kw_only=True)
class InvokeCall(Call):
    """``step.invoke``; ``workflow`` is an id."""

    kind: ClassVar[str] = "invoke"
    workflow: str
    data: Mapping[str, Any] = field(default_factory=dict)
    timeout: Duration | None = None


@dataclass(slots=True, kw_only=True)
class FetchCall(TriedCall):
    """``step.fetch``; ``content`` is the body as it is sent."""

    kind: ClassVar[str] = "fetch"
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    timeout: Duration | None = None
    max_bytes: int | None = None
    redirects: int = 0
    key_header: str | None = None


@dataclass(slots=True, kw_only=True)
class InferCall(TriedCall):
    """``step.ai.infer``: ask a model through ``adapter``."""

    kind: ClassVar[str] = "infer"
    adapter: Adapter
    body: Mapping[str, Any]
    timeout: Duration | None = None
    max_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class WrapCall(RunCall):
    """``step.ai.wrap``: a step whose arguments are kept with its result."""

    kind: ClassVar[str] = "wrap"


@dataclass(slots=True, kw_only=True)
class LinkCall(Call):
    """``ctx.link``: no step; ``subject`` is a model instance, or a model class with ``pk``."""

    kind: ClassVar[str] = "link"
    subject: Any
    pk: Any = None
