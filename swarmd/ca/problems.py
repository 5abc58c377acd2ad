"""What can be wrong with certificates and the files that hold them.

Every problem is one sentence for an operator, and a kind for the code that has to react: a clock
that is off is worth waiting for, a foreign certificate isn't.
"""

from __future__ import annotations

from enum import Enum


class Defect(Enum):
    MALFORMED = "malformed"  # not a certificate or key at all
    MISMATCH = "mismatch"  # key and certificate don't belong together
    UNTRUSTED = "untrusted"  # not issued by the root
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    WRONG_NAME = "wrong name"  # a valid certificate of somebody else
    WEAK = "weak"


class CertificateProblem(Exception):
    """A certificate or key that must not be used, and why."""

    def __init__(self, defect: Defect, message: str) -> None:
        super().__init__(message)
        self.defect = defect
        self.message = message


class KeystoreProblem(Exception):
    """The files of the certificate directory can't be used as they are, and what to do."""


class KeystoreLocked(KeystoreProblem):
    """The node key is sealed with a key-encryption key that wasn't given, or was a wrong one."""
