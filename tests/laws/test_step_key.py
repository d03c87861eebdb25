"""The step key: one key for all attempts of a step, another for every other step."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import step_key
from durable_django.exceptions import NoCurrentStep
from durable_django.testing import advance


def test_all_attempts_have_one_key(declare: Any) -> None:
    """A retry, made by another slice of the run, tells the outside service the same key."""
    keys: list[str] = []

    @declare(retries=2)
    def pays(ctx: Any) -> Any:
        def charge() -> None:
            keys.append(ctx.step.key)
            if len(keys) < 3:
                raise OSError("no answer")

        yield ctx.step.run("charge", charge)

    handle = pays.start()
    advance("1h")
    advance("1h")
    handle.result(0)
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_each_run_step_and_repetition_has_its_own_key(declare: Any) -> None:
    """Keys differ between runs, step ids, and uses of one id."""

    @declare()
    def pays(ctx: Any) -> Any:
        keys = []
        for name in ("a", "a", "b"):
            keys.append((yield ctx.step.run(name, step_key)))
        return keys

    keys = pays.start().result(60) + pays.start().result(60)
    assert len(set(keys)) == 6


def test_a_coroutine_and_an_atomic_step_have_it_too(declare: Any) -> None:
    """The key is there in every kind of step function."""

    async def read() -> str:
        return step_key()

    @declare()
    def pays(ctx: Any) -> Any:
        first = yield ctx.step.run("async", read)
        second = yield ctx.step.run("atomic", step_key, atomic=True)
        return [first, second]

    first, second = pays.start().result(60)
    assert first
    assert second
    assert first != second


def test_there_is_no_key_outside_a_step(declare: Any) -> None:
    """Between steps, and outside runs, asking for the key is a coded error."""

    @declare()
    def pays(ctx: Any) -> Any:
        yield ctx.step.run("a", int)
        try:
            return ctx.step.key
        except NoCurrentStep as error:
            return error.code

    assert pays.start().result(60) == "step_key_outside"
    with pytest.raises(NoCurrentStep):
        step_key()
