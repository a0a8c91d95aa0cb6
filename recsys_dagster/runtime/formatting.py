"""Format shares and rows of raw files for messages."""

from recsys_dagster.runtime.text import printable

_SHOWN = 100  # characters of a row in a message


def format_share(share: float) -> str:
    """Format a share as a percentage with up to three significant digits, such as 5 % or 0.123 %."""
    return f"{100 * share:.3g} %"


def format_row(line: int, raw: str | None) -> str:
    """Format a row of a raw file.

    Args:
        line: line of the file where the row begins, from 1.
        raw: its text, which is shortened; None where it could name a user.
    """
    if raw is None:
        return f"line {line:,}"
    text = printable(raw[: _SHOWN + 1])
    return f"line {line:,}: `{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}`"
