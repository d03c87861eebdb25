"""Changes as lines: time since the start, workflow, run, and what happened in words."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from ...engine.words import say_due, say_length
from ...models import Run, RunStatus, Step, StepKind, StepStatus
from ..console import Console
from ..words import say_error, say_question, say_result, shorten
from .watcher import Change

MANY = 3
"""Runs of one workflow at once from which on their progress is counted."""
_COLOURS = {"completed": "ok", "failed": "fail", "cancelled": "warn"}


class Printer:
    """Prints changes as they come, and counts the progress of runs that were started together."""

    def __init__(self, console: Console, since: datetime) -> None:
        self._console = console
        self._since = since
        self._begun: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()

    def show(self, changes: list[Change], now: datetime) -> None:
        """Print the changes of one look."""
        for workflow, count in Counter(each.run.workflow for each in changes if each.begins).items():
            if self._begun[workflow] == self._ended[workflow]:
                self._begun[workflow] = self._ended[workflow] = 0
            self._begun[workflow] += count
        for change in changes:
            self._console.line(self._format(change, now))

    def _format(self, change: Change, now: datetime) -> str:
        elapsed = f"{(change.at - self._since).total_seconds():7.2f}s"
        name = f"{change.run.workflow:20} {change.run.id.hex[-8:]}"
        return f"{self._console.paint('dim', elapsed)}  {name}  {self._say(change, now)}"

    def _say(self, change: Change, now: datetime) -> str:
        if change.attempt is not None:
            each = change.attempt
            again = f"; again at {say_due(each.retry_at, now)}" if each.retry_at else "; no further attempt"
            what = f"step {each.name!r}" if each.name else "the code between steps"
            text = (
                f"{what} failed, attempt {each.number + 1}: {each.error_type}: {shorten(each.message)}{again}"
            )
            return self._console.paint("fail", text)
        if change.step is not None:
            return self._say_step(change, change.step, now)
        return self._say_end(change) if change.ends else _say_begin(change.run)

    def _say_step(self, change: Change, step: Step, now: datetime) -> str:
        what = f"step {str(step)!r}"
        if change.woke:
            return f"{what} woke up"
        if step.status == StepStatus.WAITING:
            asks = "sleeps"
            if change.wait is not None:
                asks = f"waits for {say_question(change.wait)}"
            return self._console.paint("wait", f"{what} {asks} until {say_due(step.ready_at, now)}")
        if step.status == StepStatus.FAILED:
            return self._console.paint("fail", f"{what} failed for good: {shorten(say_error(step.error))}")
        return f"{what} {_say_done(change, step)}"

    def _say_end(self, change: Change) -> str:
        run = change.run
        took = say_length((change.at - run.created_at).total_seconds())
        told = run.reason if run.status == RunStatus.CANCELLED else say_result(change.result)
        text = f"run {run.status} after {took}{f': {told}' if told else ''}"
        return self._console.paint(_COLOURS.get(run.status, "ok"), text) + self._count(run)

    def _count(self, run: Run) -> str:
        self._ended[run.workflow] += 1
        done, total = self._ended[run.workflow], self._begun[run.workflow]
        return f"  [{done} of {total} runs, {100 * done // total} %]" if total >= MANY else ""


def _say_begin(run: Run) -> str:
    origin = f"event {run.event.name!r}" if run.origin == "event" else run.origin
    return f"run started by {origin}"


def _say_done(change: Change, step: Step) -> str:
    if step.kind == StepKind.EVENT:
        matched = change.wait is not None and change.wait.event_id is not None
        return "got its event" if matched else "timed out"
    return "sent its events" if step.kind == StepKind.SEND else "completed"
