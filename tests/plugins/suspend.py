"""``--always-suspend``: every run is stopped and replayed from its rows after each of its steps.

The cheapest strong test of replay: whatever holds for a run that is never interrupted must hold for one that
is interrupted at every chance. Tests that count slices or statements do not fit; the rest must pass.
"""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine import conclude
from durable_django.engine.nudge import Nudge, send_nudges
from durable_django.engine.slice import Slice
from durable_django.engine.sweep import sweep


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--always-suspend", action="store_true", help="stop and replay every run after each of its steps"
    )


class Suspensions:
    """How often a run was stopped."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def suspended(monkeypatch: pytest.MonkeyPatch) -> Suspensions:
    """Let every slice end after its first new step; the run is queued and announced again at once."""
    suspensions = Suspensions()
    confirm, release, park = Slice.confirm, conclude._release, conclude._park

    def stop(self: Slice) -> None:
        confirm(self)
        self.stopping = True

    def announce(part: Slice) -> None:
        suspensions.count += 1
        release(part)
        send_nudges([Nudge(part.claimed.id, part.claimed.workflow, part.claimed.queue)])

    def park_and_announce(part: Slice, pending: Any) -> Any:
        replayed = park(part, pending)
        if replayed is None and any(each.waits_for == "release" for each in pending):
            suspensions.count += 1
            sweep(part.using)
        return replayed

    monkeypatch.setattr(conclude, "_park", park_and_announce)
    monkeypatch.setattr(Slice, "confirm", stop)
    monkeypatch.setattr(conclude, "_release", announce)
    return suspensions


@pytest.fixture(autouse=True)
def always_suspended(request: pytest.FixtureRequest) -> Any:
    """Stop every run of every test, if the option says so."""
    if request.config.getoption("--always-suspend"):
        request.getfixturevalue("suspended")
