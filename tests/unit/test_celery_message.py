from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django.beat import beat_schedule
from durable_django.dispatch.message import BUNDLE, SPREAD, VERSION, Message, build_body, bundle, read_body
from durable_django.engine.nudge import Nudge
from durable_django.ids import new_id

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def test_a_body_comes_back_as_the_runs_that_it_names() -> None:
    """A message holds ids of runs and, for several, their queue: nothing that could grow old."""
    one, many = Message((new_id(),), ""), Message((new_id(), new_id(), new_id()), "side")
    assert [read_body([build_body(each)], {}) for each in (one, many)] == [one, many]
    assert set(build_body(one)) == {"v", "run"}
    assert build_body(many)["run"] == str(many.run_ids[0])  # all that a reader of single runs looks at


@given(st.lists(st.sampled_from(["durable", "slow"]), max_size=400))
def test_a_burst_travels_in_bundles(queues: list[str]) -> None:
    """Each run is in one message of its queue, in order; none shares one while fewer than SPREAD are under way."""
    nudges = [Nudge(new_id(), "w", queue) for queue in queues]
    messages = list(bundle(nudges))
    for queue in set(queues):
        mine = [message for message in messages if message.queue == queue]
        sent = [run_id for message in mine for run_id in message.run_ids]
        assert sent == [nudge.run_id for nudge in nudges if nudge.queue == queue]
        longest = max(len(message.run_ids) for message in mine)
        assert longest == 1 or (longest <= BUNDLE and len(mine) >= SPREAD)
        assert longest == BUNDLE or len(sent) < BUNDLE * SPREAD


@given(st.lists(anything, max_size=3), st.dictionaries(st.text(max_size=3), anything, max_size=2))
def test_no_junk_raises(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Whatever a message holds, reading it ends in None."""
    assert read_body(args, kwargs) is None


@given(anything)
def test_no_junk_in_place_of_an_id_raises(junk: Any) -> None:
    """Whatever stands in place of the id, reading it ends in None."""
    assert read_body([{"v": VERSION, "run": junk}], {}) is None
    if junk != []:
        assert read_body([{"v": VERSION, "run": str(new_id()), "more": [junk]}], {}) is None


def test_refused_messages_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Each refusal is one log record that carries the number of refusals so far."""
    with caplog.at_level(logging.WARNING, "durable_django.dispatch"):
        read_body(["junk"], {})
        read_body([{"v": VERSION + 1, "run": str(new_id())}], {})
    first, second = (record.refused for record in caplog.records)  # type: ignore[attr-defined]
    assert second == first + 1


def test_the_schedule_has_the_period_and_the_queue_of_the_settings(configure: Any) -> None:
    """beat_schedule() follows the settings unless told otherwise; a stale tick is dropped."""
    configure(TICK_SECONDS=7, DEFAULT_QUEUE="side")
    ((name, entry),) = beat_schedule().items()
    assert (name, entry["task"], entry["schedule"]) == (
        "durable_django.tick",
        "durable_django.tick",
        timedelta(seconds=7),
    )
    assert entry["options"] == {"queue": "side", "expires": 14.0}
    ((_, own),) = beat_schedule(0.5, queue="own").items()
    assert (own["schedule"], own["options"]) == (timedelta(seconds=0.5), {"queue": "own", "expires": 5.0})
