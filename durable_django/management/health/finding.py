"""A finding of the doctor, and the order of the probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's: what was looked at, how it is, what to do about it."""

    name: str
    level: Level
    text: str
    remedy: str = ""


def examine(using: str) -> list[Finding]:
    """Return the findings on the store of an alias; what cannot be asked for without it is left out."""
    from . import broker, search, store, vacuum, work

    findings: list[Finding] = []
    for probe in (store.probe_connection, store.probe_migrations, store.probe_settings, store.probe_clock):
        findings += probe(using)
        if has_failed(findings):
            return findings + broker.probe_broker()
    for look in work.PROBES:
        findings += look(using)
    return findings + vacuum.probe_vacuum(using) + search.probe_search(using) + broker.probe_broker()


def has_failed(findings: list[Finding]) -> bool:
    """Tell whether one of them fails."""
    return any(finding.level == "fail" for finding in findings)


def grade(seconds: float, *, warn: float, fail: float) -> Level:
    """Return the level of something that is ``seconds`` old or late."""
    if seconds > fail:
        return "fail"
    return "warn" if seconds > warn else "ok"
