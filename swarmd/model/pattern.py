"""What a value in a constraint or an affinity is compared with: a word, a glob or an expression.

`nginx` stands for itself. `*` in a glob stands for any characters and `?` for any one; everything
else in it is literal. `/…/` is a regular expression that may match anywhere in the value. All three
take time at most proportional to pattern times value (`swarmd.model.regex`).
"""

from __future__ import annotations

from functools import lru_cache

from swarmd.model.regex import Regex


class Pattern:
    """A compiled pattern; get one from `pattern_of`.

    Raises:
        ValueError: what stands between slashes is no regular expression.
    """

    def __init__(self, text: str, *, ignore_case: bool) -> None:
        self.text = text
        self.literal = False  # the text matches itself only
        self._ignore_case = ignore_case
        self._regex: Regex | None = None
        self._parts: tuple[str, ...] = ()
        if is_regex(text):
            self._regex = Regex(text[1:-1], ignore_case=ignore_case)
        else:
            self._parts = tuple(self._folded(text).split("*"))
            self.literal = len(self._parts) == 1 and "?" not in text
        if not self.literal:
            self._known = lru_cache(maxsize=4096)(self._matches)

    def matches(self, value: str) -> bool:
        return self._folded(value) == self._parts[0] if self.literal else self._known(value)

    def _matches(self, value: str) -> bool:
        if self._regex is not None:
            return self._regex.found_in(value)
        return _glob(self._parts, self._folded(value))

    def _folded(self, text: str) -> str:
        return text.casefold() if self._ignore_case else text


@lru_cache(maxsize=4096)
def pattern_of(text: str, *, ignore_case: bool = False) -> Pattern:
    """The pattern that `text` describes; raises ValueError as `Pattern` does."""
    return Pattern(text, ignore_case=ignore_case)


def is_regex(text: str) -> bool:
    return len(text) > len("//") and text.startswith("/") and text.endswith("/")


def _glob(parts: tuple[str, ...], value: str) -> bool:
    """Whether `value` is the parts in order, with anything in between."""
    first, *middle = parts
    if not middle:
        return len(first) == len(value) and _stands_at(first, value, 0)
    last = middle.pop()
    end = len(value) - len(last)
    if len(first) > end or not _stands_at(first, value, 0) or not _stands_at(last, value, end):
        return False
    at = len(first)
    for part in middle:  # the leftmost place leaves most room for the parts that follow
        while at + len(part) <= end and not _stands_at(part, value, at):
            at += 1
        if at + len(part) > end:
            return False
        at += len(part)
    return True


def _stands_at(part: str, value: str, at: int) -> bool:
    if "?" not in part:
        return value.startswith(part, at)
    piece = value[at : at + len(part)]
    return len(piece) == len(part) and all(
        wanted in ("?", actual) for wanted, actual in zip(part, piece, strict=True)
    )
