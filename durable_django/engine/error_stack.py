"""The traceback of an exception, its causes and group members, bounded; never raises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, walk_tb
from types import FrameType, TracebackType
from typing import Final

from durable_django.engine.error_text import attempt, clean, clip, read_message, read_name

STACK_BYTES: Final = 64 * 1024
_LINE_BYTES: Final = 1_024  # of one frame, message or note
_MAX_ERRORS: Final = 50  # in one stack
_MAX_LINKS: Final = 10  # in a chain of causes
_MAX_MEMBERS: Final = 10  # of a group
_MAX_GROUPS: Final = 3  # groups in groups
_MAX_NOTES: Final = 10
_FIRST_FRAMES: Final = 20
_LAST_FRAMES: Final = 40
_OUR_FOLDER: Final = str(Path(__file__).parent.parent) + os.sep
_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"

Frames = list[tuple[FrameType, int]]
Link = tuple[BaseException | None, str]


def render_stack(error: BaseException) -> str:
    """Return the stack of an exception without this package's frames, at most 64 KB of UTF-8."""
    encoded = clean("".join(_render_chain(error, 0, iter(range(_MAX_ERRORS)))))
    if len(encoded) <= STACK_BYTES:
        return encoded.decode()
    # the newest error stands at the end and matters most
    head = encoded[: STACK_BYTES // 4].decode(errors="ignore")
    tail = encoded[-(STACK_BYTES * 3 // 4 - 100) :].decode(errors="ignore")
    return f"{head}\n[… left out …]\n{tail}"


def _render_chain(error: BaseException, depth: int, budget: Iterator[int]) -> Iterator[str]:
    links, complete = _collect_links(error)
    if not complete:
        yield _indent("[… older causes are left out …]\n", depth)
    for link, joint in reversed(links):
        yield from _render_one(link, depth, budget)
        yield _indent(joint, depth)


def _collect_links(error: BaseException) -> tuple[list[tuple[BaseException, str]], bool]:
    """Return the error and its causes, newest first, each with the words that lead to the newer one."""
    links, seen = [(error, "")], {id(error)}
    while len(links) <= _MAX_LINKS:
        older, joint = _read_older(links[-1][0])
        if older is None or id(older) in seen:
            return links, True
        seen.add(id(older))
        links.append((older, joint))
    return links, False


def _read_older(error: BaseException) -> Link:
    def read() -> Link:
        if isinstance(error.__cause__, BaseException):
            return error.__cause__, _CAUSE
        if isinstance(error.__context__, BaseException) and not error.__suppress_context__:
            return error.__context__, _CONTEXT
        return None, ""

    nothing: Link = (None, "")
    return attempt(read, nothing)


def _render_one(error: BaseException, depth: int, budget: Iterator[int]) -> Iterator[str]:
    if next(budget, None) is None:
        return
    message = read_message(error, _LINE_BYTES)
    yield _indent(attempt(lambda: _render_frames(error.__traceback__), ""), depth)
    yield _indent(f"{read_name(error)}: {message}\n" if message else f"{read_name(error)}\n", depth)
    yield _indent(attempt(lambda: _render_notes(error), ""), depth)
    yield from _render_members(attempt(lambda: _read_members(error), ()), depth, budget)


def _render_members(members: tuple[BaseException, ...], depth: int, budget: Iterator[int]) -> Iterator[str]:
    shown = members[:_MAX_MEMBERS] if depth < _MAX_GROUPS else ()
    for number, member in enumerate(shown, start=1):
        yield _indent(f"+-- {number} of {len(members)} --\n", depth)
        yield from _render_chain(member, depth + 1, budget)
    if len(shown) < len(members):
        yield _indent(f"+-- {len(members) - len(shown)} more left out --\n", depth)


def _read_members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _render_notes(error: BaseException) -> str:
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, list):
        return ""
    return "".join(f"{clip(note, _LINE_BYTES)}\n" for note in notes[:_MAX_NOTES] if isinstance(note, str))


def _render_frames(trace: TracebackType | None) -> str:
    frames = _select_frames(trace)
    if not frames:
        return ""
    left_out = max(0, len(frames) - _FIRST_FRAMES - _LAST_FRAMES)
    gap = f"  [… {left_out} frames left out …]\n" if left_out else ""
    first, last = frames[:_FIRST_FRAMES], frames[_FIRST_FRAMES + left_out :]
    return f"Traceback (most recent call last):\n{_format_frames(first)}{gap}{_format_frames(last)}"


def _select_frames(trace: TracebackType | None) -> Frames:
    """Return the frames without ours, unless one of ours raised: then it shows where."""
    frames = list(walk_tb(trace))
    kept = [pair for pair in frames[:-1] if not pair[0].f_code.co_filename.startswith(_OUR_FOLDER)]
    return kept + frames[-1:]


def _format_frames(frames: Frames) -> str:
    bare = [f'  File "{frame.f_code.co_filename}", line {line}\n' for frame, line in frames]
    # the source comes from the user's loader, which may raise
    entries = attempt(lambda: StackSummary.extract(iter(frames)).format(), bare)
    return "".join(clip(entry.rstrip("\n"), _LINE_BYTES) + "\n" for entry in entries)


def _indent(text: str, depth: int) -> str:
    return "".join("  | " * depth + line for line in text.splitlines(keepends=True)) if depth else text
