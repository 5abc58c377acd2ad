"""The keys by which a person lets go of a task while its terminal is in front of them. Pure."""

from __future__ import annotations

NEVER = "none"
_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse_keys(text: str) -> bytes:
    """The keys in `text`: letters and `ctrl-` combinations with commas in between.

    Raises:
        ValueError: one of them is no key.
    """
    return b"" if text == NEVER else bytes(map(_key, text.split(",")))


def _key(word: str) -> int:
    name = word.lower().removeprefix("ctrl-")
    if name != word.lower() and len(name) == 1 and name in _CONTROL:
        return _CONTROL.index(name)
    if len(word) == 1 and word.isascii() and word.isprintable():
        return ord(word)
    raise ValueError(f"{word!r} is no key: write a letter or ctrl-LETTER, as in ctrl-p,ctrl-q")


class DetachKeys:
    """Watches what is typed for a sequence of keys; without one, nothing is ever held back."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._held = b""

    def typed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence is complete.

        The beginning of the sequence is held back until it is known whether the rest follows.
        """
        passed = b""
        for number in data:
            self._held += bytes((number,))
            while not self._sequence.startswith(self._held):
                passed, self._held = passed + self._held[:1], self._held[1:]
            if self._sequence and self._held == self._sequence:
                self._held = b""
                return passed, True
        return passed, False

    def rest(self) -> bytes:
        """What was held back; nothing more is typed."""
        held, self._held = self._held, b""
        return held
