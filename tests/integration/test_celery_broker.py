from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from django.db import transaction

from durable_django import send_event
from durable_django.engine.nudge import Nudge, get_dispatcher
from durable_django.exceptions import NudgeLost
from durable_django.ids import new_id
from durable_django.models import Event
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.proxy import Proxy
from tests.waiting import wait_until

Configure = Callable[..., None]
Make = Callable[..., Project]
Use = Callable[..., Celery]

postgres = pytest.mark.parametrize("store", ["postgres"], indirect=True)
PROMISE = 2.5
"""Seconds; docs/celery.md gives it."""
ONE_WAIT = 1.5
"""Seconds; whoever waited for the broker would take longer."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def measure(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@postgres
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_silent_broker_delays_one_sender_by_a_bounded_time(
    lab: Lab, use_celery: Use, silent_port: int, scheme: str
) -> None:
    """However many runs a transaction starts, its sender waits once, hears nothing; the next pay nothing."""
    use_celery(f"{scheme}://127.0.0.1:{silent_port}//")

    with transaction.atomic(using=lab.store.alias):
        for _ in range(20):
            send_event("process/steps", {"steps": 0})
        began = time.monotonic()
    assert time.monotonic() - began < PROMISE
    assert measure(lambda: lab.send("steps", steps=0)) < ONE_WAIT
    assert lab.runs.filter(status="queued").count() == 21


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_settings_of_the_project_cannot_lengthen_the_wait(
    use_celery: Use, silent_port: int, scheme: str
) -> None:
    """A project that retries and waits for ever elsewhere does not make senders wait."""
    use_celery(
        f"{scheme}://127.0.0.1:{silent_port}//",
        task_publish_retry=True,
        broker_connection_timeout=600,
        broker_transport_options={"max_retries": None, "socket_timeout": None, "read_timeout": None},
    )
    nudges = [Nudge(new_id(), "w", "durable")]

    def nudge() -> None:
        with pytest.raises(NudgeLost):
            get_dispatcher().nudge(nudges)

    assert measure(nudge) < PROMISE
    assert measure(nudge) < ONE_WAIT


def test_a_line_that_falls_silent_is_given_up(use_celery: Use, broker: Broker) -> None:
    """A connection that worked and then falls silent, without being closed, costs no more than a dead one."""
    proxy = Proxy(broker.url)
    try:
        use_celery(proxy.url, broker.queue)
        nudges = [Nudge(new_id(), "w", broker.queue)]
        get_dispatcher().nudge(nudges)
        assert broker.count_messages() == 1
        proxy.freeze()

        def nudge() -> None:
            with pytest.raises(NudgeLost):
                get_dispatcher().nudge(nudges)

        assert measure(nudge) < PROMISE
        assert measure(nudge) < ONE_WAIT
    finally:
        proxy.close()


def test_a_broker_that_is_back_is_used_again(
    use_celery: Use, broker: Broker, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure nobody asks for a while; then nudges flow again, without anyone having waited."""
    monkeypatch.setattr("durable_django.dispatch.publisher.BREAK_SECONDS", 0.2)
    app = use_celery(f"redis://127.0.0.1:{closed_port}/0", broker.queue)
    nudges = [Nudge(new_id(), "w", broker.queue)]
    with pytest.raises(NudgeLost, match=r"\[nudge_lost\]"):
        get_dispatcher().nudge(nudges)
    with pytest.raises(NudgeLost, match="a moment ago"):
        get_dispatcher().nudge(nudges)
    app.conf.broker_write_url = broker.url
    wait_until(lambda: _is_heard(broker, nudges))


def _is_heard(broker: Broker, nudges: list[Nudge]) -> bool:
    try:
        get_dispatcher().nudge(nudges)
    except NudgeLost:
        return False
    return broker.count_messages() > 0


def test_a_burst_is_in_the_queue_when_the_call_returns(use_celery: Use, broker: Broker) -> None:
    """Few runs have a message each; many share messages, see Note [A burst travels in bundles]."""
    use_celery(broker)
    get_dispatcher().nudge([Nudge(new_id(), "w", broker.queue) for _ in range(50)])
    assert broker.count_messages() == 17  # of three runs each


@pytest.mark.process
@postgres
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_what_was_sent_while_the_broker_was_down_runs(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, closed_port: int, configure: Configure
) -> None:
    """A committed event without a nudge is found by a worker's tick; one that was rolled back never was."""
    configure(RENUDGE_SECONDS=0.5)
    use_celery(f"redis://127.0.0.1:{closed_port}/0")
    configure(DEFAULT_QUEUE=broker.queue)
    with transaction.atomic(using=lab.store.alias):
        send_event("process/steps", {"steps": 1})
        transaction.set_rollback(True, using=lab.store.alias)
    lab.send("steps", steps=2)
    assert Event.objects.using(lab.store.alias).count() == 1
    project(broker, [LAB], TICK_SECONDS=0.3, RENUDGE_SECONDS=0.5).start_worker(concurrency=1)
    (run,) = lab.wait_for_end()
    assert [number for _, _, number in lab.read()] == [0, 1]
