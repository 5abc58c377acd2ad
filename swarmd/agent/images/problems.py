"""What can be wrong with an image, or in the way of getting it."""

from __future__ import annotations


class BadImage(Exception):
    """The image can never be run here: malformed, corrupt, unsafe, or for another platform."""


class NoSuchImage(Exception):
    """Nobody who was asked has the image, or shows it to us."""


class Denied(NoSuchImage):
    """A registry has no such image, or none that it shows to who asked."""


class Unreachable(Exception):
    """The image could not be had just now; trying again may help."""
