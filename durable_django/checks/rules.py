"""What each key of ``DURABLE_DJANGO`` may hold: the range in words, and the test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from ..engine.http_rules import are_rules

WEBHOOK_KEYS: Final = {"secret", "verifier", "transform"}


@dataclass(frozen=True, slots=True)
class Rule:
    """``what`` completes the sentence "Use …"."""

    what: str
    fits: Callable[[Any], bool]


def whole(low: int, high: int | None = None) -> Rule:
    """Return the rule for whole numbers within bounds."""
    bounds = f"of at least {low:,}" if high is None else f"from {low:,} to {high:,}"
    return Rule(
        f"a whole number {bounds}",
        lambda value: _is_int(value) and low <= value and (high is None or value <= high),
    )


def number(low: float, high: float) -> Rule:
    """Return the rule for finite numbers within bounds."""
    what = f"a number from {low:,g} to {high:,g}"
    return Rule(what, lambda value: _is_number(value) and low <= value <= high)


def text(longest: int) -> Rule:
    """Return the rule for text that is not empty."""
    what = f"text of 1 to {longest} characters"
    return Rule(what, lambda value: isinstance(value, str) and 0 < len(value) <= longest)


def optional(rule: Rule) -> Rule:
    """Return the rule that also takes None."""
    return Rule(f"{rule.what}, or None", lambda value: value is None or rule.fits(value))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float) and isfinite(value))


def _is_module(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip("*"))


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_name, value))


def _are_keys(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) or callable(key) for key in value.values())


def _are_webhooks(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_webhook, value.values()))


def _is_webhook(value: Any) -> bool:
    return isinstance(value, dict) and "secret" in value and value.keys() <= WEBHOOK_KEYS


_BOOL: Final = Rule("True or False", lambda value: isinstance(value, bool))
_PATH: Final = Rule("a path", lambda value: isinstance(value, (str, os.PathLike)) and bool(os.fspath(value)))
_MODULE: Final = Rule("the name of a module, such as 'workflows'", _is_module)

RULES: Final[dict[str, Rule]] = {
    "DATABASE": optional(text(255)),
    "WORKFLOWS_MODULE": optional(_MODULE),
    "RETRIES": whole(0, 20),
    "STEP_LIMIT": whole(1, 10_000),
    "INVOKE_DEPTH": whole(1, 1_000),
    "STEP_OUTPUT_BYTES": whole(1),
    "RUN_STATE_BYTES": whole(1),
    "EVENT_BYTES": whole(1, 3 * 1024 * 1024),
    "EVENTS_PER_REQUEST": whole(1),
    "REQUIRE_EVENT_KEYS": optional(_BOOL),
    "REQUEST_BYTES": whole(1),
    "EVENT_BACKLOG_LIMIT": optional(whole(1)),
    "EVENT_MAX_DEPTH": whole(1, 150),
    "EVENT_MAX_KEYS": whole(1),
    "EVENT_MAX_DIGITS": whole(1, 4_000),
    "WEBHOOKS": Rule("a dict of sources, each a dict with a secret", _are_webhooks),
    "WEBHOOK_TOLERANCE_SECONDS": number(1, 86_400),
    "IDEMPOTENCY_HOURS": number(0, 24 * 366),
    "HOOKS": Rule("a list of hooks or dotted paths", lambda value: isinstance(value, (list, tuple))),
    "REDACT": Rule("a list of names", _is_names),
    "DISPATCHER": text(255),
    "DEFAULT_QUEUE": text(64),
    "LEASE_SECONDS": number(0.1, 86_400),
    "CODE_VERSION": optional(text(64)),
    "CRASH_LIMIT": whole(1, 1_000),
    "WORKER_THREADS": whole(1),
    "PARALLEL_THREADS": whole(1),
    "WORKER_TASKS": whole(1),
    "PUBLISH_TIMEOUT_SECONDS": number(0.01, 60),
    "RUNTIME_DIR": optional(_PATH),
    "FETCH_ALLOW": Rule("a list of 'http', origins, hosts, '*.suffix' or blocks of addresses", are_rules),
    "FETCH_TIMEOUT_SECONDS": number(0.001, 86_400),
    "FETCH_MAX_BYTES": whole(0),
    "ANSWER_THREADS": whole(1, 10_000),
    "AI_KEYS": Rule("a dict of keys or functions that return them", _are_keys),
    "TICK_SECONDS": number(0.01, 3_600),
    "TICK_FROM_WORKERS": _BOOL,
    "TICK_BATCH": whole(1, 100_000),
    "RENUDGE_SECONDS": number(0.01, 86_400),
    "RETENTION_DAYS": number(0, 36_600),
    "LOOK_BACK_DAYS": optional(number(0, 36_600)),
}
