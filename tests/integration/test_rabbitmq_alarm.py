"""A RabbitMQ node without memory reads from no publisher: senders and runs do not depend on it (F19)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from durable_django.engine.nudge import Nudge, get_dispatcher
from durable_django.exceptions import NudgeLost
from durable_django.ids import new_id
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import MISSING, Broker
from tests.rabbit_node import RabbitNode, find_scripts

PROMISE = 2.5
"""Seconds; docs/celery.md gives it."""
ONE_WAIT = 1.5
"""Seconds; whoever waited for the broker would take longer."""


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitNode]:
    """A node of this test's own: an alarm stops all publishers of a node."""
    if find_scripts() is None:
        pytest.skip(f"{MISSING}rabbitmq-server is not installed here: an alarm needs a node of its own")
    made = RabbitNode()
    yield made
    made.close()


def measure(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_an_alarm_delays_one_sender_and_no_run_for_long(
    lab: Lab,
    node: RabbitNode,
    project: Callable[..., Project],
    use_celery: Callable[..., Celery],
    configure: Callable[..., None],
) -> None:
    """While the node blocks publishers one sender waits a bounded time, what is sent runs; so it does after it."""
    broker = Broker("rabbitmq", node.url, f"durable-test-{uuid.uuid4().hex[:12]}")
    use_celery(broker)
    configure(RENUDGE_SECONDS=2.0)
    project(broker, [LAB], RENUDGE_SECONDS=2.0).start_worker()
    lab.send("steps", steps=1)
    lab.wait_for_end(1)
    node.set_off_alarm()
    assert measure(lambda: lab.send("steps", steps=1)) < PROMISE
    assert measure(lambda: lab.send("steps", steps=1)) < ONE_WAIT
    with pytest.raises(NudgeLost):
        get_dispatcher().nudge([Nudge(new_id(), "w", broker.queue)])
    node.end_alarm()
    lab.send("steps", steps=1)
    lab.wait_for_end(4)
