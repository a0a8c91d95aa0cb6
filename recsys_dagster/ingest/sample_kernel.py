"""The compiled inner loop of the sample generator: one user after another, one title after another.

A title is drawn by popularity and accepted by taste, which needs no user × item scores; time and memory follow the
rows. Every user has a random stream of their own, so that the outcome does not depend on how users are cut into blocks.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FACTORS = 16
"""Length of the latent vectors; a multiple of four, for the unrolled dot product."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TRIES = 200  # after so many refusals the next free title is taken: a heavy user has seen the head
_YEAR = 365.25 * 86400


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
def choose_and_rate(
    pool: NDArray[np.int32],
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
        pool: (2^k,) items, each as often as it is popular.
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
    mask = np.uint64(len(pool) - 1)
    now = np.empty(FACTORS, np.float32)
    for user in range(len(stream)):
        state = stream[user]
        begin, end = start[user], start[user + 1]
        session = -1
        second = np.int64(0)
        for row in range(begin, end):
            turn = (row - begin) * sessions[user] // (end - begin)
            if turn != session:
                session = turn
                state += _GOLDEN
                share = (session + _unit(_mix(state))) / sessions[user]
                second = max(second + 1, joined[user] + np.int64(share * lifetime[user]))
                decades = np.float32((second - joined[user]) / (10 * _YEAR))
                for f in range(FACTORS):
                    now[f] = taste[user, f] + decades * drift[user, f]
            else:
                state += _GOLDEN
                second += np.int64(1 + 40 * _unit(_mix(state)) ** 2)

            previous = items[row - 1] if row > begin else np.int32(-1)
            item = np.int32(-1)
            for attempt in range(_TRIES):
                state += _GOLDEN
                bits = _mix(state)
                if attempt == 0 and previous >= 0 and sequel[previous] >= 0 and _unit(bits << np.uint64(20)) < follow:
                    item = sequel[previous]
                else:
                    item = pool[bits & mask]
                if seen[item] == user or released[item] > second:
                    continue
                if _dot(now, factors[item]) > hurdle[bits >> np.uint64(52)]:
                    break
            else:
                item = _next_free(item, seen, user, released, second)
            seen[item] = user
            items[row] = item

            state += _GOLDEN
            level = user_bias[user] + item_bias[item] + np.float32(affinity) * _dot(now, factors[item])
            level += np.float32(noise) * _normal(_mix(state))
            every = step[user]
            # Whole stars are the odd levels of half stars: 0.5 is level 0.
            code = np.int64(np.rint((level + every - 1) / every)) * every - (every - 1)
            codes[row] = min(max(code, every - 1), levels - 1)
            seconds[row] = second
    return items, codes, seconds


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
