"""What a check says: what was expected beside what was found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of a check, for a person to read.

    Attributes:
        what: what was looked at.
        expected, found: in the same unit.
        passed: whether they go together.
    """

    what: str
    expected: str
    found: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, found {self.found}"


def none_of(what: str, found: int) -> Finding:
    """Return the finding on something of which there must be none."""
    return Finding(what, "0", f"{found:,}", found == 0)
