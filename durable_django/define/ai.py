"""Adapters: how a model provider is spoken to. The key is asked for at each call and never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..exceptions import InvalidDefinition

Key = str | Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Base of the adapters.

    Args:
        base_url: Where the API begins; requests to this origin are allowed whatever FETCH_ALLOW says.
        api_key: The key, or a function that returns it; else ``AI_KEYS[name]`` of the settings.
        headers: Further headers, which may be secret; they are not stored.
        defaults: Fields of the request's body that a call does not give itself.
    """

    name: ClassVar[str] = ""
    path: ClassVar[str] = ""

    base_url: str = ""
    api_key: Key | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise InvalidDefinition(where=type(self).__name__, reason=f"base_url={self.base_url!r} is no URL")

    @property
    def url(self) -> str:
        """The URL that a request is sent to."""
        return self.base_url.rstrip("/") + self.path

    def authorize(self, key: str) -> dict[str, str]:
        """Return the headers that carry the key."""
        return {"Authorization": f"Bearer {key}"}

    def read_text(self, answer: Mapping[str, Any]) -> str:
        """Return the text of an answer, empty if it has none."""
        raise TypeError(f"{type(self).__name__} does not say where the text of an answer is")

    def read_usage(self, answer: Mapping[str, Any]) -> dict[str, int]:
        """Return the tokens that an answer says it took, as ``input_tokens`` and ``output_tokens``."""
        usage = answer.get("usage")
        given = usage if isinstance(usage, Mapping) else {}
        pairs = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
        return {name: given.get(name, given.get(older, 0)) or 0 for name, older in pairs}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI(Adapter):
    """``/chat/completions`` of OpenAI, and of the many servers that speak like it."""

    name: ClassVar[str] = "openai"
    path: ClassVar[str] = "/chat/completions"

    base_url: str = "https://api.openai.com/v1"

    def read_text(self, answer: Mapping[str, Any]) -> str:
        """Return the text of an answer, empty if it has none."""
        choices = answer.get("choices") or [{}]
        return str((choices[0].get("message") or {}).get("content") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anthropic(Adapter):
    """``/v1/messages`` of Anthropic; ``max_tokens``, which it demands, is 4,096 if not given."""

    name: ClassVar[str] = "anthropic"
    path: ClassVar[str] = "/v1/messages"

    base_url: str = "https://api.anthropic.com"
    defaults: Mapping[str, Any] = field(default_factory=lambda: {"max_tokens": 4096})

    def authorize(self, key: str) -> dict[str, str]:
        """Return the headers that carry the key."""
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}

    def read_text(self, answer: Mapping[str, Any]) -> str:
        """Return the text of an answer, empty if it has none."""
        blocks = answer.get("content") or []
        return "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
