"""What is done to runs from outside; each deed is one that may be done twice."""

from __future__ import annotations

from typing import Any

from durable_django import send_event as send_now
from durable_django import send_signal
from durable_django.models import Run
from tests.crash import world
from tests.crash.play import work
from tests.crash.scene import Deed


def send(name: str, /, **data: Any) -> Deed:
    """Send an event under an id of the sender's own, so that it can be sent again."""

    def deed() -> None:
        send_now({"name": name, "data": data, "id": f"{name} {sorted(data.items())}"})

    return deed


def signal(name: str, data: Any) -> Deed:
    return lambda: send_signal(name, data)


def wait(duration: str) -> Deed:
    """Let time pass, once."""
    return lambda: work(duration)


def wait_until(duration: str) -> Deed:
    """Let time pass until so much of it has passed since the beginning."""

    def deed() -> None:
        world.travel_to(duration)
        work("1s")

    return deed


def find(workflow: str) -> Run:
    """Return the first run of a workflow."""
    return Run.objects.filter(workflow=workflow).order_by("id")[0]
