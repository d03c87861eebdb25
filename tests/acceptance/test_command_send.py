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


# --- long files -----------------------------------------------------------------------------------


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten lines are a long file, of batches of ten."""
    monkeypatch.setattr("durable_django.management.verbs.send.FEW", 10)
    monkeypatch.setattr("durable_django.management.send_lines.BATCH", 10)
    monkeypatch.setattr("durable_django.management.send_lines.TELL_EACH", 0.0)


def write_lines(path: Path, count: int, *, bad: int = 0, name: str = "a/b") -> str:
    """Write a file of events with ids and numbers from 1; the line ``bad`` is no event."""
    lines = [json.dumps({"name": name, "data": {"n": n}, "id": f"id-{n}"}) for n in range(1, count + 1)]
    if bad:
        lines[bad - 1] = '{"name": ""}'
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def read_numbers(store: Store) -> list[int]:
    """The numbers in the order in which the events arrived."""
    return [decode(event.data)["n"] for event in Event.objects.using(store.alias).order_by("arrival")]


def test_a_long_file_is_sent_in_batches(
    store: Store, tmp_path: Path, listener: Any, small_batches: None
) -> None:
    """Each event is sent once, in order, starts its run, and progress is told on the error stream."""
    source = write_lines(tmp_path / "events.jsonl", 95, name="a/listened")
    said = run_durable("send", "--file", source)
    assert said.out.startswith("Sent 95 events (")
    assert "up to line 50." in said.err
    assert read_numbers(store) == list(range(1, 96))
    assert Run.objects.filter(status=RunStatus.COMPLETED).count() == 95
    assert AuditEntry.objects.filter(action="send").count() == 1


def test_a_long_file_as_json(store: Store, tmp_path: Path, small_batches: None) -> None:
    """``--json`` gives totals for a long file, not a list."""
    said = run_durable("send", "--file", write_lines(tmp_path / "events.jsonl", 25), "--json")
    assert {key: said.data[key] for key in ("events", "skipped", "last")} == {
        "events": 25,
        "skipped": 0,
        "last": 25,
    }


def test_a_long_file_with_a_bad_line_is_not_begun(store: Store, tmp_path: Path, small_batches: None) -> None:
    """All lines of a file are looked at first: the bad one is named and nothing is sent."""
    said = run_durable("send", "--file", write_lines(tmp_path / "events.jsonl", 95, bad=77), fails=True)
    assert "line 77" in said.error
    assert "[event_invalid]" in said.error
    assert Event.objects.count() == 0


def test_a_bad_line_of_a_stream_ends_at_a_told_place(
    store: Store, tmp_path: Path, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream cannot be looked at first: what was sent is told, and ``--from-line`` sends just the rest."""
    text = Path(write_lines(tmp_path / "events.jsonl", 45, bad=37)).read_text()
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    said = run_durable("send", "-", fails=True)
    assert "line 37" in said.error
    assert "--from-line 31" in said.err
    assert read_numbers(store) == list(range(1, 31))
    monkeypatch.setattr(
        "sys.stdin", io.StringIO(text.replace('{"name": ""}', '{"name": "a/b", "data": {"n": 37}}'))
    )
    run_durable("send", "-", "--from-line", "31")
    assert read_numbers(store) == list(range(1, 46))


def test_a_line_that_is_not_json_is_named(
    store: Store, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also deep in a stream, the line that is not JSON is named."""
    lines = ['{"name": "a/b"}'] * 30
    lines[25] = "nonsense"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert "line 26" in run_durable("send", "-", fails=True).error
    assert Event.objects.count() == 20


def test_a_file_that_is_sent_again_stores_what_is_missing(
    store: Store, tmp_path: Path, listener: Any, small_batches: None
) -> None:
    """``--skip-sent`` leaves out the ids that are stored, so a file can be sent again after any crash."""
    source = write_lines(tmp_path / "events.jsonl", 60, name="a/listened")
    run_durable("send", "--file", write_lines(tmp_path / "part.jsonl", 33, name="a/listened"))
    said = run_durable("send", "--file", source, "--skip-sent")
    assert "Sent 27 events" in said.out
    assert "33 sent before" in said.out
    assert sorted(read_numbers(store)) == list(range(1, 61))
    assert Run.objects.count() == 60
    again = run_durable("send", "--file", source, "--skip-sent", "--json")
    assert (again.data["events"], again.data["skipped"]) == (0, 60)


def test_a_file_that_is_sent_twice_starts_no_run_twice(
    store: Store, tmp_path: Path, listener: Any, small_batches: None
) -> None:
    """Ids start a run once, whether or not their copies are stored."""
    source = write_lines(tmp_path / "events.jsonl", 25, name="a/listened")
    for _ in range(2):
        run_durable("send", "--file", source)
    assert (Event.objects.count(), Run.objects.count()) == (50, 25)


def test_the_same_id_under_another_name_is_another_event(
    store: Store, tmp_path: Path, small_batches: None
) -> None:
    """``--skip-sent`` compares name and id."""
    run_durable("send", "--file", write_lines(tmp_path / "one.jsonl", 15))
    run_durable("send", "--file", write_lines(tmp_path / "two.jsonl", 15, name="a/c"), "--skip-sent")
    assert Event.objects.count() == 30


def test_an_array_over_many_lines(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretty-printed array is read whole; its error names the line of the document."""
    events = [{"name": "a/b", "data": {"n": n}} for n in range(3)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n" + json.dumps(events, indent=2)))
    run_durable("send", "-")
    assert read_numbers(store) == [0, 1, 2]
    monkeypatch.setattr("sys.stdin", io.StringIO('[\n  {"name": "a/b"},\n  nonsense\n]'))
    assert "line 3" in run_durable("send", "-", fails=True).error
    monkeypatch.setattr("sys.stdin", io.StringIO('[{"name": "a/b"}, 5]'))
    assert "event 2 must be a JSON object" in run_durable("send", "-", fails=True).error
