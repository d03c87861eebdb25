from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from durable_django import workflow
from durable_django.engine.codec import decode
from durable_django.models import AuditEntry, Event, Run, RunStatus
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture
def listener() -> Any:
    @workflow(id="listener", trigger="a/listened")
    def listener(ctx: Any) -> Any:
        return ctx.event.data

    return listener


def read_data(store: Store) -> list[Any]:
    return [decode(event.data) for event in Event.objects.using(store.alias).order_by("id")]


def test_send_stores_the_event_and_says_what_it_started(store: Store, listener: Any) -> None:
    """An event by name and JSON data starts its workflows, and both ids are told."""
    said = run_durable("send", "a/listened", '{"n": 1}')
    run = Run.objects.get()
    assert run.status == RunStatus.COMPLETED
    assert read_data(store) == [{"n": 1}]
    assert str(run.id) in said.out
    assert str(run.event_id) in said.out


def test_send_json(store: Store, listener: Any) -> None:
    """``--json`` gives a list of events with their runs."""
    said = run_durable("send", "a/listened", "--json")
    run = Run.objects.get()
    expected = {
        "id": str(run.event_id),
        "name": "a/listened",
        "runs": [{"id": str(run.id), "workflow": "listener"}],
    }
    assert said.data == [expected]


def test_sender_id_and_time_are_kept(store: Store) -> None:
    """``--id`` and ``--ts`` become the event's own."""
    run_durable("send", "a/b", "--id", "mine", "--ts", "1700000000000")
    event = Event.objects.get()
    assert (event.external_id, event.ts) == ("mine", 1_700_000_000_000)


def test_same_sender_id_starts_once(store: Store, listener: Any) -> None:
    """The same ``--id`` twice is two events and one run."""
    for _ in range(2):
        run_durable("send", "a/listened", "--id", "once")
    assert (Event.objects.count(), Run.objects.count()) == (2, 1)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"name": "a/b", "data": {"n": 1}}', 1),
        ('[{"name": "a/b"}, {"name": "a/c"}]', 2),
        ('{"name": "a/b"}\n\n{"name": "a/c"}\n{"name": "a/d"}\n', 3),
    ],
    ids=["object", "array", "lines"],
)
def test_events_from_standard_input(
    store: Store, monkeypatch: pytest.MonkeyPatch, text: str, count: int
) -> None:
    """``-`` reads one event, an array, or JSON lines from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    said = run_durable("send", "-", "--json")
    assert len(said.data) == Event.objects.count() == count
    assert AuditEntry.objects.count() == 1


def test_events_from_a_file(store: Store, tmp_path: Path) -> None:
    """``--file`` reads the same from a file, more than one request may hold."""
    source = tmp_path / "events.jsonl"
    source.write_text("\n".join(json.dumps({"name": "a/b", "data": {"n": n}}) for n in range(20)))
    run_durable("send", "--file", str(source))
    assert sorted(data["n"] for data in read_data(store)) == list(range(20))


def test_a_bad_event_sends_none(store: Store, tmp_path: Path, configure: Any) -> None:
    """A file is all or nothing, even if it needs several requests."""
    configure(EVENTS_PER_REQUEST=2)
    source = tmp_path / "events.jsonl"
    source.write_text('{"name": "a/b"}\n{"name": "a/c"}\n{"name": ""}\n')
    said = run_durable("send", "--file", str(source), fails=True)
    assert "[event_invalid]" in said.error
    assert Event.objects.count() == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a/b", "{nonsense"), "line 1, column 2"),
        (("a/b", "[1]"), "not an array"),
        (("durable/run.failed",), "[event_invalid]"),
        (("--file", "/no/such/file"), "cannot be read"),
        (("a/b", "--file", "x"), "not both"),
        (("-", "{}"), "go with a name"),
    ],
)
def test_bad_input_is_explained(store: Store, arguments: tuple[str, ...], told: str) -> None:
    """Input that is no event ends with a sentence about it, and nothing is stored."""
    said = run_durable("send", *arguments, fails=True)
    assert told in said.error
    assert Event.objects.count() == 0


def test_bad_line_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among JSON lines, the one that is not JSON is named."""
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "a/b"}\nnonsense\n'))
    assert "line 2" in run_durable("send", "-", fails=True).error


def test_mistyped_name_gets_a_hint(store: Store, listener: Any) -> None:
    """An event that no workflow starts on is sent, with a remark that names the nearest trigger."""
    said = run_durable("send", "a/listend")
    assert "Did you mean 'a/listened'?" in said.err
    assert Event.objects.count() == 1
