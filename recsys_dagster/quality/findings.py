"""The findings of a check: what was expected and what was found."""

from dataclasses import dataclass

_RAW_SHOWN = 100
"""Characters of a row that a message shows."""


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


def format_share(share: float) -> str:
    """Format a share as a percentage with up to three significant digits, such as 5 % or 0.123 %."""
    return f"{100 * share:.3g} %"


def format_row(line: int, raw: str | None) -> str:
    """Format a row of a raw file for a message: its line and, unless it could name a user, its text, shortened."""
    if raw is None:
        return f"line {line:,}"
    text = "".join(char if char.isprintable() else " " for char in raw[: _RAW_SHOWN + 1])
    return f"line {line:,}: `{text if len(text) <= _RAW_SHOWN else text[: _RAW_SHOWN - 1] + '…'}`"
