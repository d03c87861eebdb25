"""Hooks: their order, what they see, and what happens when they raise."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from durable_django import Event, Hook, Place, send_event
from durable_django.checks.hooks import check_hooks
from durable_django.define.hooks import SliceInfo
from durable_django.engine.find_hooks import find_hooks
from durable_django.exceptions import HookFailed, InvalidDefinition, InvalidSetting, RunFailed
from durable_django.models import Attempt, Run, RunResult, Step
from durable_django.models import Event as StoredEvent
from durable_django.testing import advance, drain
from tests.plugins.store import Store

Declare = Callable[..., Any]
Configure = Callable[..., None]
CANARY = "canary-5417"


class Wrapper(Hook):
    """Puts its name around whatever goes out and takes it off whatever comes in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: list[Place] = []

    def encode_output(self, value: Any, place: Place) -> Any:
        self.places.append(place)
        return {self.name: value}

    def decode_output(self, value: Any, place: Place) -> Any:
        return value[self.name]

    def send_event(self, event: Event) -> Event:
        return dataclasses.replace(event, data={self.name: dict(event.data)})

    def receive_event(self, event: Event) -> Event:
        return dataclasses.replace(event, data=event.data[self.name])


class Watcher(Hook):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        with self._lock:
            self.told.append(text)

    def begin_slice(self, info: SliceInfo) -> None:
        self.note("begin")

    def begin_new_code(self, info: SliceInfo) -> None:
        self.note("new code")

    def end_slice(self, info: SliceInfo, result: str) -> None:
        self.note(f"end {result}")


class Broken(Hook):
    """Fails in one method, with a message that quotes the payload."""

    def __init__(self, method: str) -> None:
        self.broken = True
        setattr(self, method, self._fail)

    def _fail(self, value: Any, *rest: Any) -> Any:
        if self.broken:
            raise ValueError(f"cannot handle {value!r}")
        return value


def read_rows(store: Store) -> str:
    """Return all stored text of steps, attempts, results and events."""
    models = (Step, Attempt, RunResult, StoredEvent)
    return repr([list(model.objects.using(store.alias).values()) for model in models])


def test_values_pass_hooks_in_order_inwards_and_in_reverse_outwards(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """The project's first hook stands next to the store, the workflow's last next to the code."""
    configure(HOOKS=[Wrapper("a"), Wrapper("b")])

    @declare(hooks=[Wrapper("c")])
    def wrapped(ctx: Any) -> Any:
        got = yield ctx.step.run("one", lambda: 1)
        yield ctx.step.sleep("nap", "1h")
        answer = yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1h")
        return [ctx.event.data["n"], got, answer.data["m"]]

    handle = wrapped.start({"n": 7})
    drain()
    stored = Step.objects.using(store.alias).get(name="one")
    assert stored.output == '{"a":{"b":{"c":1}}}'
    assert StoredEvent.objects.using(store.alias).get().data == '{"a":{"b":{"c":{"n":7}}}}'
    advance("2h")
    send_event("app/answer", {"c": {"m": 9}})
    drain()
    assert handle.result(60) == [7, 1, 9]
    assert RunResult.objects.using(store.alias).get().output == '{"a":{"b":{"c":[7,1,9]}}}'


def test_each_stored_value_has_a_place_of_its_own(store: Store, declare: Declare) -> None:
    """A hook is told run, step and repetition, so that it can tell values apart."""
    hook = Wrapper("a")

    @declare(hooks=[hook])
    def placed(ctx: Any) -> Any:
        yield ctx.step.run("same", lambda: 1)
        yield ctx.step.run("same", lambda: 1)
        return 2

    run_id = placed.start().id
    drain()
    assert hook.places == [
        Place("step", run_id, "same", 0),
        Place("step", run_id, "same", 1),
        Place("run", run_id, "placed", 0),
    ]


def test_observers_are_told_each_slice_and_where_new_code_begins(store: Store, declare: Declare) -> None:
    """In a replay new code begins after the last memo; a hook is told once a slice."""
    hook = Watcher()

    @declare(hooks=[hook])
    def watched(ctx: Any) -> Any:
        yield ctx.step.run("one", lambda: hook.note("one"))
        hook.note("between")
        yield ctx.step.sleep("nap", "1h")
        hook.note("after")

    watched.start()
    drain()
    assert hook.told == ["begin", "new code", "one", "between", "end left"]
    hook.told.clear()
    advance("2h")
    assert hook.told == ["begin", "between", "new code", "after", "end returned"]


def test_an_observer_that_raises_changes_nothing(store: Store, declare: Declare, caplog: Any) -> None:
    """Its failure is logged with a code and without the payload; the run completes."""

    @declare(hooks=[Broken("begin_slice"), Broken("begin_new_code"), Broken("end_slice")])
    def watched(ctx: Any) -> Any:
        return (yield ctx.step.run("one", lambda: CANARY))

    handle = watched.start()
    drain()
    assert handle.result(60) == CANARY
    failures = [record for record in caplog.records if record.name == "durable_django.hooks"]
    assert [record.code for record in failures] == ["hook_failed"] * 3


@pytest.mark.parametrize("method", ["encode_output", "decode_output", "receive_event"])
def test_a_hook_that_raises_withholds_the_payload_and_the_run_is_tried_again(
    store: Store, declare: Declare, method: str
) -> None:
    """Nothing of the value is stored; when the hook is mended, a later attempt completes the run."""
    hook = Broken(method)

    @declare(hooks=[hook], retries=3)
    def guarded(ctx: Any) -> Any:
        try:
            return (yield ctx.step.run("one", lambda: f"{CANARY}-out"))
        except ValueError:
            return "the workflow saw the hook's error"

    handle = guarded.start({"in": f"{CANARY}-in"})
    drain()
    failed = Attempt.objects.using(store.alias).get()
    assert failed.error_type == "HookFailed"
    assert CANARY not in failed.message + failed.traceback
    assert f"Broken.{method}" in failed.message
    assert Run.objects.using(store.alias).get().status == "waiting"
    hook.broken = False
    advance("5m")
    assert handle.result(60) == f"{CANARY}-out"


def test_a_hook_that_goes_on_failing_fails_the_run(store: Store, declare: Declare) -> None:
    """After the attempts of the workflow the run is failed with the code; the payload stays withheld."""

    @declare(hooks=[Broken("encode_output")], retries=0)
    def guarded(ctx: Any) -> Any:
        return CANARY
        yield

    handle = guarded.start()
    drain()
    with pytest.raises(RunFailed, match="HookFailed") as caught:
        handle.result(60)
    assert caught.value.details["told"]["code"] == "hook_failed"
    assert CANARY not in read_rows(store)


def test_an_event_whose_hook_raises_is_not_stored(store: Store, configure: Configure) -> None:
    """The sender gets a coded error that does not quote the data."""
    configure(HOOKS=[Broken("send_event")])
    with pytest.raises(HookFailed) as caught:
        send_event("app/secret", {"x": CANARY})
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not StoredEvent.objects.using(store.alias).exists()


def test_a_step_that_sends_uses_the_hooks_of_its_workflow(store: Store, declare: Declare) -> None:
    """What a workflow sends passes its own hooks besides the project's."""

    @declare(hooks=[Wrapper("c")])
    def sender(ctx: Any) -> Any:
        yield ctx.step.send_event("tell", Event("app/told", {"x": 1}))

    sender.start()
    drain()
    assert StoredEvent.objects.using(store.alias).get(name="app/told").data == '{"c":{"x":1}}'


def test_without_hooks_a_run_asks_none(store: Store, declare: Declare, configure: Configure) -> None:
    """No hook, no work: the slice has an empty tuple, and stored text is what the codec wrote."""
    configure(HOOKS=[])

    @declare()
    def plain(ctx: Any) -> Any:
        return (yield ctx.step.run("one", lambda: (1, 2)))

    plain.start()
    drain()
    assert find_hooks(plain) == ()
    assert Step.objects.using(store.alias).get().output == "[1,2]"


def make_wrapper() -> Hook:
    return Wrapper("made")


def test_hooks_are_given_as_objects_paths_or_factories(configure: Configure) -> None:
    """The setting takes Hook objects, and dotted paths of objects, classes and functions."""
    own = Wrapper("x")
    configure(HOOKS=[own, f"{__name__}.Watcher", f"{__name__}.make_wrapper"])
    found = find_hooks()
    assert found[0] is own
    assert [type(each).__name__ for each in found] == ["Wrapper", "Watcher", "Wrapper"]
    assert all(one is two for one, two in zip(find_hooks(), found, strict=True))


@pytest.mark.parametrize("given", ["no.such.hook", "builtins.dict", 7])
def test_what_is_no_hook_is_refused(configure: Configure, given: Any) -> None:
    """A wrong setting is a coded error, and a system check reports it before any run meets it."""
    configure(HOOKS=[given])
    with pytest.raises(InvalidSetting):
        find_hooks()
    assert [each.id for each in check_hooks()] == ["durable_django.E020"]
    configure(HOOKS=[])
    assert check_hooks() == []


def test_a_workflow_takes_hook_objects_only(declare: Declare) -> None:
    """A class or a path in hooks= is refused where it is written."""
    with pytest.raises(InvalidDefinition, match="Hook"):

        @declare(hooks=[Watcher])
        def wrong(ctx: Any) -> Any:
            return None
