"""Check cron expressions: five fields, each a list of numbers, names, ranges and steps."""

import re
from collections.abc import Mapping

_MONTHS = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905
}
_WEEKDAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}  # noqa: SIM905
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)
_LONGEST_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def cron_problem(expression: str) -> str | None:
    """Describe what is wrong with a cron expression; None if it is valid and occurs at least once in four years.

    >>> cron_problem("0 4 * * 1")
    >>> cron_problem("0 4 30 2 *")
    'day 30 does not occur in month 2'
    """
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} fields instead of 5 (minute, hour, day of the month, month, day of the week)"
    values = []
    for text, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        parsed = _values(text, low, high, names)
        if parsed is None:
            return f"{text!r} is not a valid {name} ({low} to {high}, such as {low}, {low}-{high}, */5 or 1,{high})"
        values.append(parsed)
    days, months = values[2], values[3]
    if min(days) > max(_LONGEST_MONTHS.get(month, 31) for month in months):
        return f"day {fields[2]} does not occur in month {fields[3]}"
    return None


def _values(text: str, low: int, high: int, names: Mapping[str, int]) -> set[int] | None:
    """Return the numbers that a field stands for; None if it is not valid."""
    result: set[int] = set()
    for part in text.lower().split(","):
        match = re.fullmatch(r"(?:\*|([0-9]+|[a-z]+)(?:-([0-9]+|[a-z]+))?)(?:/([0-9]+))?", part, re.ASCII)
        if match is None:
            return None
        first, last, step = match.groups()
        start = low if first is None else _number(first, names)
        end = high if first is None or (step and last is None) else start if last is None else _number(last, names)
        stride = int(step) if step else 1
        if start is None or end is None or not (low <= start <= end <= high) or not 1 <= stride <= high:
            return None
        result.update(range(start, end + 1, stride))
    return result


def _number(text: str, names: Mapping[str, int]) -> int | None:
    return int(text) if text.isdigit() else names.get(text)
