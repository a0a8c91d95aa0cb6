"""The findings of a check: what was expected and what was found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One finding of a check.

    Attributes:
        what: what was examined.
        expected: what it should be.
        found: what it is, in the same unit.
        passed: whether `found` is as expected.
        message: the finding as one sentence; by default it is made of the other attributes.
    """

    what: str
    expected: str
    found: str
    passed: bool
    message: str = ""

    def __str__(self) -> str:
        return self.message or f"{self.what}: expected {self.expected}, found {self.found}"


def none_of(what: str, count: int) -> Finding:
    """Return the finding on something whose number must be 0."""
    return Finding(what, "0", f"{count:,}", count == 0)
