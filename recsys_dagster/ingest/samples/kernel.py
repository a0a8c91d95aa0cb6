"""The compiled inner loops of the sample generator: one user after another, one title after another; and their lines.

A title is drawn by popularity and accepted by taste, which needs no user × item scores; time and memory follow the
rows. Every user has a random stream of their own, so that the outcome does not depend on how users are cut into blocks.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FACTORS = 16
"""Length of the latent vectors; a multiple of four, for the unrolled dot product."""

_TOP = np.uint64(52)  # a shift that leaves 12 bits, the index of a quantile
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BATCH = 16  # candidates looked at together, without a branch for the processor to guess wrong
_REFILLS = 12  # after so many batches the next free title is taken: a heavy user has seen the head
_YEAR = 365.25 * 86400
_TWO, _TEN = np.uint32(2), np.uint32(10)
_ZERO, _POINT, _COMMA, _NEWLINE = (np.uint32(ord(sign)) for sign in "0.,\n")


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _mix(state):  # type: ignore[no-untyped-def]
    """Return 64 random bits of a state that grows by _GOLDEN (SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = (state ^ (state >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _unit(bits):  # type: ignore[no-untyped-def]
    """Return the upper 24 bits as a float32 in [0, 1)."""
    return np.float32(bits >> np.uint64(40)) * np.float32(2.0**-24)


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _normal(bits):  # type: ignore[no-untyped-def]
    """Return about a standard normal: four 16-bit uniforms added up, shifted and scaled (Irwin–Hall)."""
    mask = np.uint64(0xFFFF)
    total = (
        (bits & mask) + ((bits >> np.uint64(16)) & mask) + ((bits >> np.uint64(32)) & mask) + (bits >> np.uint64(48))
    )
    return (np.float32(total) * np.float32(1 / 65536) - np.float32(2)) * np.float32(1.7320508)


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _dot(x, y):  # type: ignore[no-untyped-def]
    """Return x · y, always added up in the same order."""
    a = b = c = d = np.float32(0)
    for f in range(0, FACTORS, 4):
        a += x[f] * y[f]
        b += x[f + 1] * y[f + 1]
        c += x[f + 2] * y[f + 2]
        d += x[f + 3] * y[f + 3]
    return (a + b) + (c + d)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return (keep, alias) for drawing i in proportion to weights[i]: a uniform slot i, if 20 random bits are below
    keep[i], else alias[i] (Vose, IEEE Transactions on Software Engineering 1991).
    """
    n = len(weights)
    share = weights * (n / weights.sum())
    keep = np.full(n, 1 << 20, np.uint64)
    alias = np.arange(n).astype(np.int32)
    small = np.flatnonzero(share < 1)
    large = np.flatnonzero(share >= 1)
    n_small, n_large = len(small), len(large)
    waiting = np.empty(n, np.int64)
    waiting[:n_small] = small
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
    return keep, alias


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
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
    hurdle: NDArray[np.float32],
    follow: float,
    affinity: float,
    noise: float,
    levels: int,
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Choose the titles of a block of users, in the order in which they are watched, and rate them.

    A user's time goes session by session from `joined` over `lifetime`, and their taste moves by `drift` for every ten
    years. A title that is out and not yet seen is accepted if taste · factors exceeds a hurdle drawn anew each time;
    with probability `follow` the next part of the last title is tried first.

    Args:
        keep, alias: (n_items,) the alias table of the titles' popularity.
        factors: (n_items, FACTORS).
        item_bias: (n_items,) in rating steps.
        released: (n_items,) epoch seconds.
        sequel: (n_items,) the next part of the franchise, or -1.
        start: (users + 1,) where each user's rows begin.
        stream: (users,) start of the user's random stream.
        taste: (users, FACTORS); drift: (users, FACTORS).
        user_bias: (users,) in rating steps, the mean included.
        step: (users,) 1, or 2 for users who give only every second level (whole stars).
        joined: (users,) epoch seconds; lifetime: (users,) seconds; sessions: (users,) at least 1.
        hurdle: (4096,) quantiles of the hurdle's distribution.
        follow: probability of trying the sequel.
        affinity: rating steps for one unit of affinity.
        noise: standard deviation of a rating, in steps.
        levels: number of rating levels.

    Returns:
        Of each row the item (int32), the level counted from 0 (int8), the epoch second (int64).
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
                if _unit(bits << np.uint64(20)) < follow and free and _dot(now, factors[part]) > hurdle[bits >> _TOP]:
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
                state, count = _consider(state, candidates, keep, alias, factors, now, hurdle, released, second)
                position = 0
            seen[item] = user
            items[row] = item

            state += _GOLDEN
            level = user_bias[user] + item_bias[item] + np.float32(affinity) * _dot(now, factors[item])
            level += np.float32(noise) * _normal(_mix(state))
            codes[row] = _code(level, step[user], levels)
            seconds[row] = second
    return items, codes, seconds


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _consider(state, candidates, keep, alias, factors, now, hurdle, released, second):  # type: ignore[no-untyped-def]
    """Draw a batch of titles by popularity, put what is wanted and out into `candidates`; return (state, count)."""
    count = 0
    n_items = np.uint64(len(keep))
    for _ in range(_BATCH):
        state += _GOLDEN
        bits = _mix(state)
        slot = np.int64(((bits & np.uint64(0xFFFFFFFF)) * n_items) >> np.uint64(32))
        kept = ((bits >> np.uint64(32)) & np.uint64(0xFFFFF)) < keep[slot]
        candidate = np.int32(slot) if kept else alias[slot]
        wanted = _dot(now, factors[candidate]) > hurdle[bits >> _TOP]
        candidates[count] = candidate
        count += int(wanted & (released[candidate] <= second))
    return state, count


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _first_unseen(candidates, position, count, seen, user):  # type: ignore[no-untyped-def]
    """Return the place after the first unseen candidate from `position` on, and it, or -1 if there is none."""
    while position < count:
        candidate = candidates[position]
        position += 1
        if seen[candidate] != user:
            return position, candidate
    return position, np.int32(-1)


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _code(level, every, levels):  # type: ignore[no-untyped-def]
    """Round to the nearest level the user gives: every one, or every second (whole stars; half a star is level 0)."""
    code = np.int64(np.rint((level + every - 1) / every)) * every - (every - 1)
    return min(max(code, every - 1), levels - 1)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_free(item, seen, user, released, second):  # type: ignore[no-untyped-def]
    """Return the first unseen title from `item` on that is out, or, if all of those are seen, the first unseen."""
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


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def write_lines(columns: NDArray[np.uint32], halved: NDArray[np.bool_], lines: NDArray[np.uint8]) -> int:
    """Fill `lines` with the rows as CSV, from its end to its beginning: so no number's width need be known.

    Args:
        columns: (n_columns, n_rows).
        halved: (n_columns,) whether half of the number is written, with one decimal.
        lines: (bytes,) long enough for all rows.

    Returns:
        Where in `lines` the first row begins.
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
