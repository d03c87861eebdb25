"""Linear look at an expression's text before any parser sees it.

The parser's string pattern is ambiguous on backslashes: an unterminated literal of 49 characters keeps it
busy for seconds. Nesting is unbounded there too. So nothing reaches it that is not bounded and terminated.
"""

from __future__ import annotations

from typing import Final

MAX_LENGTH: Final = 2_000  # characters
MAX_TOKENS: Final = 800
MAX_BRACKETS: Final = 24
MAX_SIGNS: Final = 8  # `!` or `-` in a row

_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSE: Final = frozenset(_OPEN.values())
_SPACE: Final = frozenset(" \t\n\r\f")
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Refused(Exception):
    """The text is not an expression that may be used; ``column`` counts characters from 1."""

    def __init__(self, column: int, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


def scan(text: str) -> None:
    """Refuse text that could keep the parser busy.

    Raises:
        Refused: the text is empty, too long, too deeply nested, or has a literal that does not end.
    """
    check_length(text)
    if not text.strip():
        raise Refused(1, "it is empty")
    _Scan(text).run()


def check_length(text: str) -> None:
    """Refuse text that is longer than MAX_LENGTH characters."""
    if len(text) > MAX_LENGTH:
        raise Refused(MAX_LENGTH + 1, f"it is longer than {MAX_LENGTH} characters")


class _Scan:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.tokens, self.signs = text, 0, 0, 0
        self.open: list[tuple[str, int]] = []

    def run(self) -> None:
        while self.at < len(self.text):
            self.step(self.text[self.at])
        if self.open:
            raise Refused(self.open[-1][1] + 1, "this bracket is never closed")

    def step(self, char: str) -> None:
        if char in _SPACE:
            self.at += 1
            return
        self.count(char)
        if char in "\"'":
            self.string(raw=False)
        elif char in _WORD:
            self.word()
        else:
            self.mark(char)

    def count(self, char: str) -> None:
        self.tokens += 1
        if self.tokens > MAX_TOKENS:
            raise Refused(self.at + 1, f"it has more than {MAX_TOKENS} parts")
        self.signs = self.signs + 1 if char in "!-" else 0
        if self.signs > MAX_SIGNS:
            raise Refused(self.at + 1, f"more than {MAX_SIGNS} signs in a row")

    def mark(self, char: str) -> None:
        if self.text.startswith("//", self.at):
            raise Refused(self.at + 1, "comments are not supported")
        if char in _OPEN:
            self.open.append((_OPEN[char], self.at))
        if len(self.open) > MAX_BRACKETS:
            raise Refused(self.at + 1, f"brackets nest deeper than {MAX_BRACKETS}")
        if char in _CLOSE and (not self.open or self.open.pop()[0] != char):
            raise Refused(self.at + 1, f"{char!r} closes nothing")
        self.at += 1

    def word(self) -> None:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in _WORD:
            self.at += 1
        word = self.text[start : self.at]
        if word in ("r", "R") and self.text[self.at : self.at + 1] in ("'", '"'):
            self.string(raw=True)

    def string(self, *, raw: bool) -> None:
        start, quote = self.at, self.text[self.at]
        mark = quote * 3 if self.text.startswith(quote * 3, start) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            self.inside(start, raw=raw, lines=len(mark) == 3)
        self.at += len(mark)

    def inside(self, start: int, *, raw: bool, lines: bool) -> None:
        char, after = self.text[self.at : self.at + 1], self.text[self.at + 1 : self.at + 2]
        if not char or (char in "\r\n" and not lines):
            raise Refused(start + 1, "this text literal does not end")
        if char != "\\":
            self.at += 1
            return
        # Here the parser's pattern and the specification part ways, so neither reading is taken.
        if raw and after in ("'", '"'):
            raise Refused(self.at + 1, "a raw text literal cannot hold a backslash before a quote")
        if after in ("\r", "\n"):
            raise Refused(self.at + 1, "a backslash cannot end a line")
        self.at += 2
