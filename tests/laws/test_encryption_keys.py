"""Keys of encryption: rotation, one that is missing, ciphertexts that were moved, damaged or forged."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from durable_django.contrib.encryption import MARK, EncryptionHook
from durable_django.define.hooks import Place
from durable_django.exceptions import (
    InvalidSetting,
    PayloadMisplaced,
    PayloadUnreadable,
    ResultTimeout,
    RunFailed,
)
from durable_django.models import Attempt, RunResult, Step
from durable_django.models import Event as StoredEvent
from durable_django.testing import advance, drain
from tests.laws.test_encryption import NEW, OLD, Configure, Declare
from tests.plugins.store import Store


def test_old_keys_go_on_decrypting_after_a_rotation(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """The first key encrypts, all decrypt; what the new key wrote the old one cannot read."""
    configure(HOOKS=[EncryptionHook([OLD])])

    @declare()
    def rotated(ctx: Any) -> Any:
        first = yield ctx.step.run("first", lambda: "one")
        yield ctx.step.sleep("nap", "1h")
        return [ctx.event.data["n"], first, (yield ctx.step.run("second", lambda: "two"))]

    handle = rotated.start({"n": 1})
    drain()
    configure(HOOKS=[EncryptionHook([NEW, OLD])])
    advance("2h")
    assert handle.result(60) == [1, "one", "two"]
    configure(HOOKS=[EncryptionHook([OLD])])
    with pytest.raises(PayloadUnreadable):
        handle.result(60)


def test_a_missing_key_keeps_the_run_until_it_is_back(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """A worker without the key fails the attempt, not the run; the workflow cannot catch it by mistake."""
    configure(HOOKS=[EncryptionHook([OLD])])

    @declare(retries=4)
    def patient(ctx: Any) -> Any:
        try:
            first = yield ctx.step.run("first", lambda: "one")
        except Exception:
            first = "caught"
        yield ctx.step.sleep("nap", "1h")
        return first

    handle = patient.start()
    drain()
    configure(HOOKS=[EncryptionHook([NEW])])
    advance("61m")
    with pytest.raises(ResultTimeout):
        handle.result(0)
    assert Attempt.objects.using(store.alias).first().error_type == "PayloadUnreadable"
    configure(HOOKS=[EncryptionHook([NEW, OLD])])
    advance("5m")
    assert handle.result(60) == "one"


def test_decrypt_only_reads_what_is_encrypted_and_writes_in_the_clear(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """So that encryption can be taken back while runs live."""
    configure(HOOKS=[EncryptionHook([OLD])])

    @declare()
    def reverted(ctx: Any) -> Any:
        first = yield ctx.step.run("first", lambda: "one")
        yield ctx.step.sleep("nap", "1h")
        return [first, (yield ctx.step.run("second", lambda: "two"))]

    handle = reverted.start({"n": 1})
    drain()
    configure(HOOKS=[EncryptionHook([OLD], decrypt_only=True)])
    advance("2h")
    assert handle.result(60) == ["one", "two"]
    steps = Step.objects.using(store.alias)
    assert MARK in str(steps.get(name="first").output)
    assert steps.get(name="second").output == '"two"'


def test_a_ciphertext_that_was_moved_to_another_step_is_refused(store: Store, declare: Declare) -> None:
    """Swap the outputs of two steps of a run: the run fails at once with the code."""

    @declare(hooks=[EncryptionHook([NEW])])
    def swapped(ctx: Any) -> Any:
        low = yield ctx.step.run("low", lambda: 10)
        high = yield ctx.step.run("high", lambda: 10_000)
        yield ctx.step.sleep("nap", "1h")
        return [low, high]

    handle = swapped.start()
    drain()
    steps = Step.objects.using(store.alias)
    low, high = steps.get(name="low"), steps.get(name="high")
    steps.filter(pk=low.pk).update(output=high.output)
    steps.filter(pk=high.pk).update(output=low.output)
    advance("2h")
    with pytest.raises(RunFailed) as caught:
        handle.result(60)
    assert caught.value.details["told"]["code"] == "payload_misplaced"


def test_a_ciphertext_that_was_moved_to_another_run_or_event_is_refused(
    store: Store, declare: Declare
) -> None:
    """Outputs and inputs are bound to their run and their event too."""

    @declare(hooks=[EncryptionHook([NEW])])
    def moved(ctx: Any) -> Any:
        return ctx.event.data
        yield

    with transaction.atomic(using=store.alias):  # nothing runs before its end
        one, two = moved.start({"n": 1}), moved.start({"n": 2})
        events = StoredEvent.objects.using(store.alias)
        source = events.get(runs__id=one.id)
        events.filter(runs__id=two.id).update(data=source.data)
    drain()
    with pytest.raises(RunFailed, match="PayloadMisplaced"):
        two.result(60)
    three = moved.start({"n": 3})
    drain()
    results = RunResult.objects.using(store.alias)
    results.filter(run_id=three.id).update(output=results.get(run_id=one.id).output)
    with pytest.raises(PayloadMisplaced):
        three.result(60)


def test_a_forged_or_damaged_token_is_a_coded_error() -> None:
    """What is not a token of a known key is unreadable, whoever wrote it; no other exception comes out."""
    hook, place = EncryptionHook([NEW]), Place("step", "run", "one")
    good = hook.encode_output("value", place)
    for token in ("", "ü", "gAAAAA", good["token"][:-4] + "AAAA", 7, None):
        with pytest.raises(PayloadUnreadable):
            hook.decode_output({**good, "token": token}, place)
    assert hook.decode_output(good, place) == "value"


@pytest.mark.parametrize(
    ("keys", "options"),
    [([], {}), ("abc", {}), (["short"], {}), ([NEW], {"events": "user"}), ([NEW], {"events": "data.a.b"})],
)
def test_wrong_options_are_refused_without_showing_a_key(keys: Any, options: dict[str, Any]) -> None:
    """Keys and fields are checked when the hook is made."""
    with pytest.raises(InvalidSetting) as caught:
        EncryptionHook(keys, **options)
    assert "short" not in str(caught.value)
    assert NEW.decode() not in str(caught.value)
