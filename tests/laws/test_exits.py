"""What is meant to end a process is a recorded failure of the step or workflow, not a stuck lease (F46)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from durable_django import StepError
from durable_django.models import Attempt, Run
from durable_django.testing import advance


class Homemade(BaseException):
    pass


EXITS: dict[str, Any] = {
    "sys.exit": lambda: sys.exit(3),
    "SystemExit": lambda: (_ for _ in ()).throw(SystemExit("bye")),
    "cancelled": lambda: (_ for _ in ()).throw(asyncio.CancelledError()),
    "homemade": lambda: (_ for _ in ()).throw(Homemade("x")),
}


@pytest.mark.parametrize("name", list(EXITS))
@pytest.mark.parametrize("form", ["plain", "coroutine", "atomic"])
def test_an_exit_in_a_step_is_its_failure(declare: Any, name: str, form: str) -> None:
    """SystemExit and its like in a step are a failed attempt, and at last a StepError with a code."""

    async def leave() -> None:
        EXITS[name]()

    @declare()
    def leaver(ctx: Any) -> Any:
        try:
            yield ctx.step.run(
                "x",
                leave if form == "coroutine" else EXITS[name],
                retries=1,
                backoff="1s",
                atomic=form == "atomic",
            )
        except StepError as error:
            return [error.name, error.error_code, "step 'x'" in error.message]

    handle = leaver.start()
    run = Run.objects.get()
    assert (run.status, run.waits_for, run.owner) == ("waiting", "retry", "")
    advance("2s")
    assert handle.result(0) == ["ExitRaised", "exit_raised", True]
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize("name", list(EXITS))
def test_an_exit_in_a_workflow_is_its_failure(declare: Any, name: str) -> None:
    """The same in the code between steps is a failed attempt of the segment."""

    @declare(retries=1, backoff="1s")
    def leaver(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        EXITS[name]()

    handle = leaver.start()
    advance("2s")
    assert handle.status == "failed"
    assert [each.error_type for each in Attempt.objects.all()] == ["ExitRaised"] * 2


@pytest.mark.parametrize("place", ["step", "workflow"])
def test_ctrl_c_goes_through(declare: Any, place: str) -> None:
    """A KeyboardInterrupt of the main thread ends the process's work; the run is taken over later."""
    pressed: list[int] = []

    @declare()
    def interrupted(ctx: Any) -> Any:
        def work() -> str:
            if not pressed:
                pressed.append(1)
                raise KeyboardInterrupt
            return "done"

        return work() if place == "workflow" else (yield ctx.step.run("x", work))

    with pytest.raises(KeyboardInterrupt):
        interrupted.start()
    assert Run.objects.get().status == "running"
    advance("1m")
    assert Run.objects.get().result.output == '"done"'
