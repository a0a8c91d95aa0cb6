"""The compiled loops of the sample generator: choosing and rating items, and formatting rows as CSV.

Items are drawn by popularity and accepted by taste (rejection sampling), so no users × items scores are needed: time
and memory are proportional to the number of rows. Every user has an independent random stream, so the result does not
depend on how users are divided into blocks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.runtime.compiling import compiled
from recsys_dagster.runtime.units import DAY_SECONDS

FACTORS = 16
"""Length of the latent vectors; a multiple of four because the dot product is unrolled by four."""

_TOP = np.uint64(52)  # shift that leaves the upper 12 bits, the index of a quantile
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BATCH = 16  # candidates drawn together, without branches that the processor would mispredict
_REFILLS = 12  # after this many batches the next unseen item is taken: heavy users have seen the popular ones
_YEAR = 365.25 * DAY_SECONDS
_TWO, _TEN = np.uint32(2), np.uint32(10)
_ZERO, _POINT, _COMMA, _NEWLINE = (np.uint32(ord(sign)) for sign in "0.,\n")


@compiled(nogil=True, inline="always")
def _mix(state):  # type: ignore[no-untyped-def]
    """Return 64 random bits from a state advanced by _GOLDEN (SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = (state ^ (state >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@compiled(nogil=True, inline="always")
def _unit(bits):  # type: ignore[no-untyped-def]
    """Map the upper 24 bits to a float32 in [0, 1)."""
    return np.float32(bits >> np.uint64(40)) * np.float32(2.0**-24)


@compiled(nogil=True, inline="always")
def _normal(bits):  # type: ignore[no-untyped-def]
    """Return an approximately standard normal number: the scaled sum of four 16-bit uniform numbers (Irwin–Hall)."""
    mask = np.uint64(0xFFFF)
    total = (
        (bits & mask) + ((bits >> np.uint64(16)) & mask) + ((bits >> np.uint64(32)) & mask) + (bits >> np.uint64(48))
    )
    return (np.float32(total) * np.float32(1 / 65536) - np.float32(2)) * np.float32(1.7320508)


@compiled(nogil=True, inline="always")
def _dot(x, y):  # type: ignore[no-untyped-def]
    """Compute the dot product x · y; the order of the additions is fixed, so results are reproducible."""
    a = b = c = d = np.float32(0)
    for f in range(0, FACTORS, 4):
        a += x[f] * y[f]
        b += x[f + 1] * y[f + 1]
        c += x[f + 2] * y[f + 2]
        d += x[f + 3] * y[f + 3]
    return (a + b) + (c + d)


def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Build the alias table for drawing i with probability proportional to weights[i].

    To draw, choose a slot i uniformly; the result is i if 20 random bits are below keep[i], else alias[i] (Vose, IEEE
    Transactions on Software Engineering 1991).

    Args:
        weights: (n,) not negative.

    Returns:
        keep (n,) and alias (n,).
    """
    n = len(weights)
    share = weights * (n / weights.sum())
    keep = np.full(n, 1 << 20, np.uint64)
    alias = np.arange(n, dtype=np.int32)
    small = np.flatnonzero(share < 1)
    large = np.flatnonzero(share >= 1)
    waiting = np.concatenate([small, np.empty(n - len(small), np.int64)])
    _pair_slots(share, keep, alias, waiting, len(small), large)
    return keep, alias


@compiled(nogil=True)
def _pair_slots(share: Any, keep: Any, alias: Any, waiting: Any, n_small: int, large: Any) -> None:
    """Fill each slot whose share is below 1 from one above; the first `n_small` of `waiting` are below."""
    n_large = len(large)
    while n_small and n_large:
        n_small -= 1
        i, j = waiting[n_small], large[n_large - 1]
        keep[i] = np.uint64(share[i] * (1 << 20))
        alias[i] = j
        share[j] -= 1 - share[i]
        if share[j] < 1:
            n_large -= 1
            waiting[n_small] = j
            n_small += 1


@compiled(nogil=True)
def choose_and_rate(
    keep: NDArray[np.uint64],
    alias: NDArray[np.int32],
    factors: NDArray[np.float32],
    item_bias: NDArray[np.float32],
    released: NDArray[np.int64],
    sequel: NDArray[np.int32],
    start: NDArray[np.int64],
    stream: NDArray[np.uint64],
    taste: NDArray[np.float32],
    drift: NDArray[np.float32],
    user_bias: NDArray[np.float32],
    step: NDArray[np.int32],
    joined: NDArray[np.int64],
    lifetime: NDArray[np.int64],
    sessions: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    follow: float,
    affinity: float,
    noise: float,
    levels: int,
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Choose the items of a block of users, in chronological order, and rate them.

    A user is active in sessions, from `joined` until `lifetime` seconds later, and their taste changes by `drift` per
    ten years. A candidate that is released and not yet seen is accepted if taste · factors exceeds a random threshold,
    drawn for each candidate. With probability `follow` the sequel of the last item is tried first.

    Args:
        keep, alias: (n_items,) alias table of the items' popularity.
        factors: (n_items, FACTORS) latent vectors of the items.
        item_bias: (n_items,) in rating steps.
        released: (n_items,) epoch seconds.
        sequel: (n_items,) index of the next item of the franchise, or -1.
        start: (users + 1,) first row of each user; the last element is the number of rows.
        stream: (users,) initial state of the user's random stream.
        taste: (users, FACTORS) latent vectors of the users; drift: (users, FACTORS) their change in ten years.
        user_bias: (users,) in rating steps, including the mean.
        step: (users,) 1, or 2 for users who use only every second level (whole stars).
        joined: (users,) epoch seconds; lifetime: (users,) seconds; sessions: (users,) at least 1.
        thresholds: (4096,) quantiles of the threshold's distribution.
        follow: probability of trying the sequel.
        affinity: rating steps per unit of taste · factors.
        noise: standard deviation of a rating, in steps.
        levels: number of rating levels.

    Returns:
        For each row: the item (int32), the rating level from 0 (int8) and the epoch second (int64).
    """
    n_rows = start[-1]
    n_items = len(factors)
    items = np.empty(n_rows, np.int32)
    codes = np.empty(n_rows, np.int8)
    seconds = np.empty(n_rows, np.int64)
    seen = np.full(n_items, -1, np.int32)
    candidates = np.empty(_BATCH, np.int32)
    now = np.empty(FACTORS, np.float32)
    for user in range(len(stream)):
        state = stream[user]
        begin, end = start[user], start[user + 1]
        session = -1
        second = np.int64(0)
        position = count = 0
        for row in range(begin, end):
            turn = (row - begin) * sessions[user] // (end - begin)
            if turn != session:
                session = turn
                position = count = 0
                state += _GOLDEN
                share = (session + _unit(_mix(state))) / sessions[user]
                second = max(second + 1, joined[user] + np.int64(share * lifetime[user]))
                decades = np.float32((second - joined[user]) / (10 * _YEAR))
                for f in range(FACTORS):
                    now[f] = taste[user, f] + decades * drift[user, f]
            else:
                state += _GOLDEN
                second += np.int64(1 + 40 * _unit(_mix(state)) ** 2)

            item = np.int32(-1)
            if row > begin and sequel[items[row - 1]] >= 0:
                state += _GOLDEN
                bits = _mix(state)
                part = sequel[items[row - 1]]
                free = seen[part] != user and released[part] <= second
                if (
                    _unit(bits << np.uint64(20)) < follow
                    and free
                    and _dot(now, factors[part]) > thresholds[bits >> _TOP]
                ):
                    item = part
            refills = 0
            while item < 0:
                position, item = _first_unseen(candidates, position, count, seen, user)
                if item >= 0:
                    break
                if refills == _REFILLS:
                    item = _next_free(candidates[0], seen, user, released, second)
                    break
                refills += 1
                state, count = _consider(state, candidates, keep, alias, factors, now, thresholds, released, second)
                position = 0
            seen[item] = user
            items[row] = item

            state += _GOLDEN
            level = user_bias[user] + item_bias[item] + np.float32(affinity) * _dot(now, factors[item])
            level += np.float32(noise) * _normal(_mix(state))
            codes[row] = _code(level, step[user], levels)
            seconds[row] = second
    return items, codes, seconds


@compiled(nogil=True)
def _consider(state, candidates, keep, alias, factors, now, thresholds, released, second):  # type: ignore[no-untyped-def]
    """Draw a batch of items by popularity; put those accepted and released into `candidates`; return (state, count)."""
    count = 0
    n_items = np.uint64(len(keep))
    for _ in range(_BATCH):
        state += _GOLDEN
        bits = _mix(state)
        slot = np.int64(((bits & np.uint64(0xFFFFFFFF)) * n_items) >> np.uint64(32))
        kept = ((bits >> np.uint64(32)) & np.uint64(0xFFFFF)) < keep[slot]
        candidate = np.int32(slot) if kept else alias[slot]
        accepted = _dot(now, factors[candidate]) > thresholds[bits >> _TOP]
        candidates[count] = candidate
        count += int(accepted & (released[candidate] <= second))
    return state, count


@compiled(nogil=True)
def _first_unseen(candidates, position, count, seen, user):  # type: ignore[no-untyped-def]
    """Return the position after the first unseen candidate from `position` on, and that candidate (-1: none)."""
    while position < count:
        candidate = candidates[position]
        position += 1
        if seen[candidate] != user:
            return position, candidate
    return position, np.int32(-1)


@compiled(nogil=True, inline="always")
def _code(level, every, levels):  # type: ignore[no-untyped-def]
    """Round to the nearest level that the user uses: every level, or every second (whole stars; level 0 is half)."""
    code = np.int64(np.rint((level + every - 1) / every)) * every - (every - 1)
    return min(max(code, every - 1), levels - 1)


@compiled(nogil=True)
def _next_free(item, seen, user, released, second):  # type: ignore[no-untyped-def]
    """Return the first unseen released item from `item` on, or the first unseen one if all released ones are seen."""
    n_items = len(seen)
    unseen = -1
    for offset in range(n_items):
        candidate = (item + offset) % n_items
        if seen[candidate] != user:
            if released[candidate] <= second:
                return candidate
            if unseen < 0:
                unseen = candidate
    return unseen


@compiled(nogil=True)
def write_lines(columns: NDArray[np.uint32], halved: NDArray[np.bool_], lines: NDArray[np.uint8]) -> int:
    """Write rows as CSV into `lines`, backwards from its end, so that the width of a number need not be known.

    Args:
        columns: (n_columns, n_rows).
        halved: (n_columns,) whether the number is divided by two and written with one decimal.
        lines: (n_bytes,) output buffer, large enough for all rows.

    Returns:
        Offset in `lines` of the first row.
    """
    n_columns, n_rows = columns.shape
    at = len(lines)
    for row in range(n_rows - 1, -1, -1):
        for column in range(n_columns - 1, -1, -1):
            rest = columns[column, row]
            at -= 1
            lines[at] = _NEWLINE if column == n_columns - 1 else _COMMA
            if halved[column]:
                at -= 2
                lines[at] = _POINT
                lines[at + 1] = _ZERO + 5 * (rest % _TWO)
                rest //= _TWO
            while True:
                at -= 1
                tens = rest // _TEN
                lines[at] = _ZERO + rest - tens * _TEN
                rest = tens
                if rest == 0:
                    break
    return at
