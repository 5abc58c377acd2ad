"""Regular expressions that take time proportional to pattern times text, whatever they are.

Users write them into constraints and affinities, and the leader evaluates them while it plans, so
one that backtracks for minutes would stop the swarm. An expression is compiled to a small program
of alternatives which are followed all at once, character by character; a counted repetition is
written out, within a limit on the size of the program.

Understood are literals, `.`, classes `[a-z]` and `[^…]`, `\\d \\w \\s` and their opposites, groups,
`|`, `* + ? {m} {m,} {m,n}`, `^`, `$`, and `(?i)` at the start. There are no back references and no
lookaround. A search may match anywhere in the text.
"""

from __future__ import annotations

from typing import NamedTuple

PATTERN_LENGTH_MAX = 128
PROGRAM_LENGTH_MAX = 256
_NUMBER_DIGITS_MAX = 3
_NESTING_MAX = 16
_SPECIAL = "|)*+?"


class _Class(NamedTuple):
    """One character out of ranges, or out of all others."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def holds(self, char: str, ignore_case: bool) -> bool:
        forms = (char, char.lower(), char.upper()) if ignore_case else (char,)
        found = any(low <= form <= high for form in forms for low, high in self.ranges)
        return found != self.negated


class _Split(NamedTuple):
    """Go on at both of two places."""

    first: int
    second: int


class _Begin(NamedTuple):
    """Only at the start of the text."""


class _End(NamedTuple):
    """Only at the end of the text."""


class _Match(NamedTuple):
    """The whole expression has been found."""


_Step = _Class | _Split | _Begin | _End | _Match

_DIGIT = (("0", "9"),)
_WORD = (("a", "z"), ("A", "Z"), ("0", "9"), ("_", "_"))
_SPACE = ((" ", " "), ("\t", "\r"))
_ESCAPES = {
    "d": _Class(_DIGIT),
    "D": _Class(_DIGIT, negated=True),
    "w": _Class(_WORD),
    "W": _Class(_WORD, negated=True),
    "s": _Class(_SPACE),
    "S": _Class(_SPACE, negated=True),
}
_ANY = _Class((), negated=True)


class Regex:
    """A compiled expression; immutable after construction.

    Raises:
        ValueError: the text is no expression, or too large; the message says where.
    """

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        if len(pattern) > PATTERN_LENGTH_MAX:
            raise ValueError(
                f"the expression is {len(pattern)} characters long, "
                f"the limit is {PATTERN_LENGTH_MAX}"
            )
        if pattern.startswith("(?i)"):
            pattern, ignore_case = pattern[len("(?i)") :], True
        self._ignore_case = ignore_case
        self._program: tuple[_Step, ...] = (*_Compiler(pattern).compile(), _Match())

    def found_in(self, text: str) -> bool:
        """Whether the expression matches some part of `text`."""
        alive: dict[int, None] = {}
        for position, char in enumerate(text):
            if self._follow(0, position, len(text), alive):
                return True
            following: dict[int, None] = {}
            for place in alive:
                step = self._program[place]
                assert isinstance(step, _Class)
                if step.holds(char, self._ignore_case) and self._follow(
                    place + 1, position + 1, len(text), following
                ):
                    return True
            alive = following
        return self._follow(0, len(text), len(text), alive)

    def _follow(self, start: int, position: int, length: int, alive: dict[int, None]) -> bool:
        """Enter into `alive` the classes reachable from `start`; True if the end is."""
        waiting, seen = [start], {start}
        while waiting:
            place = waiting.pop()
            match self._program[place]:
                case _Match():
                    return True
                case _Class():
                    alive[place] = None
                    continue
                case _Split(first, second):
                    targets: tuple[int, ...] = (first, second)
                case _Begin():
                    targets = (place + 1,) if position == 0 else ()
                case _End():
                    targets = (place + 1,) if position == length else ()
            for target in targets:
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return False


class _Compiler:
    """A recursive descent over the pattern; code is relocatable by shifting its splits."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def compile(self) -> list[_Step]:
        code = self._alternatives()
        if self._at < len(self._pattern):
            raise self._wrong("')' without '('")
        return code

    def _alternatives(self) -> list[_Step]:
        code = self._sequence()
        while self._take("|"):
            other = self._sequence()
            skip = len(code) + 2
            end = skip + len(other)
            code = [_Split(1, skip), *_shift(code, 1), _jump(end), *_shift(other, skip)]
            self._check(code)
        return code

    def _sequence(self) -> list[_Step]:
        code: list[_Step] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            code += _shift(self._repeated(), len(code))
            self._check(code)
        return code

    def _repeated(self) -> list[_Step]:
        code = self._atom()
        while self._at < len(self._pattern) and self._pattern[self._at] in "*+?{":
            low, high = self._count()
            code = self._times(code, low, high)
        return code

    def _times(self, code: list[_Step], low: int, high: int | None) -> list[_Step]:
        """`code` at least `low` times and at most `high`, written out."""
        written: list[_Step] = []
        for _ in range(low):
            written += _shift(code, len(written))
            self._check(written)
        if high is None:
            start = len(written)
            loop: list[_Step] = [_Split(1, len(code) + 2), *_shift(code, 1), _jump(0)]
            return written + _shift(loop, start)
        for _ in range(high - low):
            optional: list[_Step] = [_Split(1, len(code) + 1), *_shift(code, 1)]
            written += _shift(optional, len(written))
            self._check(written)
        return written

    def _count(self) -> tuple[int, int | None]:
        match self._next():
            case "*":
                return 0, None
            case "+":
                return 1, None
            case "?":
                return 0, 1
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at : max(end, self._at)].partition(",")
        numbers = [number for number in (low, high) if number]
        sound = low and all(n.isdecimal() and len(n) <= _NUMBER_DIGITS_MAX for n in numbers)
        if not sound:
            raise self._wrong("a repetition is {m}, {m,} or {m,n}")
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        if high and int(high) < int(low):
            raise self._wrong("a repetition counts upwards")
        return int(low), int(high) if high else None

    def _atom(self) -> list[_Step]:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return [self._class()]
            case ".":
                return [_ANY]
            case "^":
                return [_Begin()]
            case "$":
                return [_End()]
            case "\\":
                return [self._escaped()]
            case _ if char in _SPECIAL:
                raise self._wrong(f"nothing for {char!r} to repeat")
        return [_Class(((char, char),))]

    def _group(self) -> list[_Step]:
        if self._pattern.startswith("?", self._at) and not self._take("?:"):
            raise self._wrong("groups with '?' other than (?: are not understood")
        self._depth += 1
        if self._depth > _NESTING_MAX:
            raise self._wrong(f"groups are nested more than {_NESTING_MAX} deep")
        code = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("'(' without ')'")
        return code

    def _class(self) -> _Class:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        if self._take("]"):  # the first one stands for itself
            ranges.append(("]", "]"))
        while not self._take("]"):
            low = self._member()
            dash = self._pattern.startswith("-", self._at)
            if isinstance(low, _Class):
                ranges += low.ranges
            elif dash and not self._pattern.startswith("-]", self._at):
                self._next()
                high = self._member()
                if isinstance(high, _Class) or high < low:
                    raise self._wrong("a range goes upwards, from one character to another")
                ranges.append((low, high))
            else:
                ranges.append((low, low))
        return _Class(tuple(ranges), negated)

    def _member(self) -> str | _Class:
        """One character of a class, or several for an escape such as `\\d`."""
        char = self._next()
        if char != "\\":
            return char
        escaped = self._escaped()
        if escaped.negated:
            raise self._wrong("an opposite such as \\D cannot stand in a class")
        return escaped if escaped in _ESCAPES.values() else escaped.ranges[0][0]

    def _escaped(self) -> _Class:
        char = self._next()
        known = _ESCAPES.get(char)
        if known is not None:
            return known
        if char.isalnum():
            raise self._wrong(f"\\{char} is not understood")
        return _Class(((char, char),))

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise self._wrong("it ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _check(self, code: list[_Step]) -> None:
        if len(code) > PROGRAM_LENGTH_MAX:
            raise self._wrong(f"its repetitions come to more than {PROGRAM_LENGTH_MAX} steps")

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"expression /{self._pattern}/, character {self._at}: {why}")


def _jump(target: int) -> _Split:
    return _Split(target, target)


def _shift(code: list[_Step], by: int) -> list[_Step]:
    """`code` as it reads when `by` steps stand before it."""
    return [
        _Split(step.first + by, step.second + by) if isinstance(step, _Split) else step
        for step in code
    ]
