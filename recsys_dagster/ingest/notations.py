"""SQL that reads times and ratings as people write them: 31.01.2026, Jan 31, 2026, thumbs up, dislike."""

from datetime import UTC, datetime
from itertools import product

DAY_FIRST = "day-first"
MONTH_FIRST = "month-first"

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_ORDERS = {DAY_FIRST: ("%d/%m/%y", "%d/%m/%Y"), MONTH_FIRST: ("%m/%d/%y", "%m/%d/%Y")}
NUMERIC_DATE = r"^(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?:,?[ T]+|$)"
"""Regular expression of a date whose day and month are numbers before the year, alone or before a time of day."""

_NAMED_MONTHS = ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y")
COMMON_TIME_FORMATS = (
    DAY_FIRST,
    MONTH_FIRST,
    *(f"{date}{clock}" for date, clock in product(_NAMED_MONTHS, _CLOCKS)),
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %Z",
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M:%S",
    "%Y%m%d",
    "%Y%m%d%H%M%S",
)
"""Formats, beside ISO and numbers of seconds, that a column of times is tried with."""

VOTES_UP = ("true", "t", "yes", "y", "up", "like", "liked", "thumbs up", "thumbs_up", "thumb_up", "upvote", "👍")
VOTES_DOWN = (
    "false", "f", "no", "n", "down", "dislike", "disliked", "thumbs down", "thumbs_down", "thumb_down", "downvote",
    "👎",
)  # fmt: skip
"""Words for the two ends of the scale of a rating, in lower case."""


def is_time_format(text: str) -> bool:
    """Return whether a text is `day-first`, `month-first` or has directives of strptime."""
    if text in _ORDERS:
        return True
    try:
        datetime.strptime(datetime(2026, 1, 31, tzinfo=UTC).strftime(text), text)
    except ValueError:
        return False
    return "%" in text


def time_in_format(text: str, time_format: str) -> str:
    """Return the SQL of the time in a text, in UTC unless it names another zone; NULL where it is none.

    Args:
        text: SQL of the text.
        time_format: `day-first` or `month-first`, then the parts of a date are divided by a point, a slash or a hyphen
            and a time of day may follow; or a format with the directives of strptime, such as %Y%m%d.
    """
    if time_format in _ORDERS:
        text = f"trim(regexp_replace(trim({text}), '{NUMERIC_DATE}', '\\1/\\2/\\3 '))"
        formats = [f"{date}{clock}" for clock, date in product(_CLOCKS, _ORDERS[time_format])]
    else:
        text, formats = f"trim({text})", [time_format]
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in formats)
    # A format with a zone gives a time with one, the others a time without.
    return f"timezone('UTC', CAST(try_strptime({text}, [{listed}]) AS TIMESTAMPTZ))"


def vote_or(number: str, text: str, scale: tuple[float, float]) -> str:
    """Return the SQL of the rating in a text: an end of the scale where it is a word such as up, no or dislike.

    Args:
        number: SQL of the number in the text, where it is no word.
        text: SQL of the text.
        scale: lowest and highest rating.
    """
    word = f"lower(trim({text}))"
    return (
        f"CASE WHEN {word} IN {VOTES_UP} THEN {scale[1]} WHEN {word} IN {VOTES_DOWN} THEN {scale[0]} ELSE {number} END"
    )


def is_vote(text: str) -> str:
    """Return the SQL of whether a text is such a word."""
    return f"lower(trim({text})) IN {VOTES_UP + VOTES_DOWN}"
