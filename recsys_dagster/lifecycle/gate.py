"""The gate: decide whether a challenger replaces the champion.

All were evaluated on the same validation fold. A challenger may replace the champion if

- its NDCG@10 is higher than the champion's, paired over users, and that is significant after Holm's correction for the
  number of challengers;
- the same holds against popularity and, where it was evaluated, against recent popularity;
- no guard metric falls by more than its tolerance.

Of those that may, the one with the highest NDCG@10 becomes champion. The test fold is not looked at.

Why corrected: of 24 challengers that are no better, at least one would pass uncorrected 95 % intervals by chance in
nearly half of all retrains. Why guards: a model can gain accuracy by listing the same few popular items for everyone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.evaluation.significance import SIGNIFICANT, SWAPS, holm, signed_sums
from recsys_dagster.evaluation.store import CHOOSING_FOLD, MetricRow, PerUser
from recsys_dagster.models.registry import RANKING_BASELINE, RECENT_BASELINE

_COLUMN = CHOOSING_METRIC.column
GATE_COLUMNS = ("user_idx", "known", _COLUMN)
"""The per-user columns that `evaluate_challengers` needs."""
LEAST_ACTIVE_SHARE = 0.25


@dataclass(frozen=True)
class Tolerances:
    """By how much a guard metric may fall, as a share of the champion's value."""

    coverage: float
    rmse: float
    least_active: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """A version of a model, evaluated on validation.

    Attributes:
        model, version: its name and version.
        metrics: its rows of `evaluation.metrics`; those of other folds are ignored.
        per_user: its results on validation for each user; `GATE_COLUMNS` are enough.
    """

    model: str
    version: str
    metrics: Sequence[MetricRow]
    per_user: PerUser

    def value(self, metric: str, k: int | None) -> float | None:
        """Return a metric on validation; None if the model does not have it, or its value is NaN."""
        values = [row.value for row in self.metrics if (row.fold, row.metric, row.k) == (CHOOSING_FOLD, metric, k)]
        return values[0] if values and not np.isnan(values[0]) else None


@dataclass(frozen=True)
class Guard:
    """A metric that must not fall below a bound.

    Attributes:
        metric: its label.
        champion, challenger: the values of both.
        bound: the worst value that is tolerated.
        passed: whether the challenger is within the bound.
    """

    metric: str
    champion: float
    challenger: float
    bound: float
    passed: bool


@dataclass(frozen=True)
class Gain:
    """By how much the NDCG@10 of a challenger is higher than that of another model, on the same users.

    Attributes:
        difference: the challenger's minus the other's, with its 95 % interval (bootstrap, not corrected).
        p: two-sided p-value of the randomisation test, after Holm's correction.
        tests: number of challengers that it is corrected for.
    """

    difference: Interval
    p: float
    tests: int

    @property
    def is_significant(self) -> bool:
        """Whether the challenger is better, and not by chance."""
        return self.difference.value > 0 and self.p < SIGNIFICANT

    def __str__(self) -> str:
        challengers = "1 challenger" if self.tests == 1 else f"{self.tests} challengers"
        return f"{format_difference(self.difference)}, p = {self.p:.2g} after Holm's correction for {challengers}"


@dataclass(frozen=True)
class Challenge:
    """A challenger compared with the champion.

    Attributes:
        model, version: the challenger.
        gain: over the champion.
        gain_over_popularity: over popularity; zero if the challenger is popularity.
        gain_over_recent: over recent popularity; zero if the challenger is recent popularity, None if that was not
            evaluated.
        guards: the guard metrics that both models have.
    """

    model: str
    version: str
    gain: Gain
    gain_over_popularity: Gain
    gain_over_recent: Gain | None
    guards: tuple[Guard, ...]

    @property
    def objections(self) -> list[str]:
        """Why the challenger may not become champion; empty if it may."""
        objections = []
        if not self.gain.is_significant:
            objections.append(f"NDCG@10 {self.gain} is not significantly better than the champion's")
        if self.model != RANKING_BASELINE and not self.gain_over_popularity.is_significant:
            objections.append(f"NDCG@10 {self.gain_over_popularity} is not significantly better than popularity's")
        if (
            self.gain_over_recent is not None
            and self.model not in (RANKING_BASELINE, RECENT_BASELINE)
            and not self.gain_over_recent.is_significant
        ):
            objections.append(f"NDCG@10 {self.gain_over_recent} is not significantly better than recent popularity's")
        objections += [
            f"{guard.metric} {guard.challenger:.4f} is worse than {guard.bound:.4f}, the champion's "
            f"{guard.champion:.4f} within its tolerance"
            for guard in self.guards
            if not guard.passed
        ]
        return objections


@dataclass(frozen=True)
class GateResult:
    """The decision of the gate.

    Attributes:
        model, version: the champion from now on.
        reason: the reason, in a sentence.
        challenges: one for each challenger, the best on validation first; empty if there was no champion to challenge.
    """

    model: str
    version: str
    reason: str
    challenges: tuple[Challenge, ...]


def format_difference(difference: Interval) -> str:
    """Return a difference with its 95 % interval as text."""
    return f"{difference.value:+.4f} (95 % {difference.low:+.4f} to {difference.high:+.4f})"


def evaluate_challengers(
    champion: Candidate,
    challengers: Sequence[Candidate],
    tolerances: Tolerances,
    *,
    seed: int,
) -> GateResult:
    """Compare every challenger with the champion, and decide who is champion from now on.

    Args:
        champion: the present champion, fitted and evaluated on today's folds.
        challengers: all other models; popularity is one of them unless it is the champion.
        tolerances: of the guard metrics.
        seed: of the paired bootstrap and of the randomisation test.

    Raises:
        RecsysError: popularity was not evaluated, a model was evaluated by an earlier version of this package, or the
            models were evaluated on different users.
    """
    challengers = [one for one in challengers if one.value(*CHOOSING_METRIC) is not None]
    if RANKING_BASELINE not in [one.model for one in (champion, *challengers)]:
        raise RecsysError(f"{RANKING_BASELINE} was not evaluated; run evaluation/{RANKING_BASELINE} first")
    eligible = _eligible_users(champion, challengers)
    columns = np.column_stack([one.per_user[_COLUMN][eligible] for one in (champion, *challengers)])
    least = columns[least_active(champion.per_user["known"][eligible])]
    of_few: list[float | None] = least.mean(axis=0).tolist() if len(least) else [None] * columns.shape[1]
    signed = signed_sums(columns, seed)
    names = [one.model for one in (champion, *challengers)]
    gains_over_recent: Sequence[Gain | None] = [None] * len(challengers)
    if RECENT_BASELINE in names:
        gains_over_recent = _gains(columns, signed, names.index(RECENT_BASELINE), seed)
    challenges = [
        Challenge(
            one.model,
            one.version,
            gain,
            over_popularity,
            over_recent,
            _guards(champion, one, of_few[0], few, tolerances),
        )
        for one, few, gain, over_popularity, over_recent in zip(
            challengers,
            of_few[1:],
            _gains(columns, signed, 0, seed),
            _gains(columns, signed, names.index(RANKING_BASELINE), seed),
            gains_over_recent,
            strict=True,
        )
    ]
    challenges.sort(key=lambda challenge: (-challenge.gain.difference.value, challenge.model))
    return _decide(champion, challenges)


def least_active(known: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which users, by the number of known pairs, are the least active quarter of those with any; ties included.

    Users of whom nothing is known are not among them: every model serves them by popularity.
    """
    active = known > 0
    if not active.any():
        return np.zeros(len(known), dtype=bool)
    few: NDArray[np.bool_] = active & (known <= np.quantile(known[active], LEAST_ACTIVE_SHARE))
    return few


def _eligible_users(champion: Candidate, challengers: Sequence[Candidate]) -> NDArray[np.bool_]:
    """Return which users have an NDCG@10; raise RecsysError if these differ between the models."""
    for one in (champion, *challengers):
        if not one.per_user.keys() >= set(GATE_COLUMNS):
            raise RecsysError(f"{one.model} was evaluated by an earlier version; run evaluation/{one.model} again")
    users = np.asarray(champion.per_user["user_idx"])
    eligible: NDArray[np.bool_] = ~np.isnan(champion.per_user[_COLUMN])
    for one in challengers:
        same = np.array_equal(one.per_user["user_idx"], users)
        if not same or not np.array_equal(~np.isnan(one.per_user[_COLUMN]), eligible):
            raise RecsysError(
                f"{one.model} and {champion.model} were evaluated on different users; run evaluation/{one.model} and "
                f"evaluation/{champion.model} again on the same folds"
            )
    return eligible


def _gains(columns: NDArray[np.float64], signed: NDArray[np.float64], reference: int, seed: int) -> list[Gain]:
    """Compare every column but the first, the champion's, with the reference.

    The test is that of `significance.compare_all`: the two results of each user are swapped or not, at random.

    Args:
        columns: (n_users, 1 + n_challengers) NDCG@10 of each user.
        signed: (draws, 1 + n_challengers) sums of the columns with a random sign for each user.
        reference: index of the column to compare with.
        seed: of the bootstrap.
    """
    if columns.shape[1] == 1:
        return []
    challengers, other = columns[:, 1:], columns[:, reference]
    differences = paired_differences(challengers, other, np.ones(len(other)), mean, seed=seed)
    swapped = np.abs(signed[:, 1:] - signed[:, [reference]]) / len(columns)
    actual = np.abs(challengers.mean(axis=0) - other.mean())
    # A difference that is as large except for rounding counts as large.
    as_large = np.count_nonzero(swapped >= actual * (1 - 1e-9) - 1e-15, axis=0)
    ps = ((1 + as_large) / (1 + SWAPS)).tolist()
    # Popularity is not tested against itself.
    tested = [place for place in range(len(ps)) if place + 1 != reference]
    corrected = dict(zip(tested, holm([ps[place] for place in tested]), strict=True))
    return [Gain(difference, corrected.get(place, 1.0), len(tested)) for place, difference in enumerate(differences)]


def _guards(
    champion: Candidate,
    challenger: Candidate,
    champion_few: float | None,
    challenger_few: float | None,
    tolerances: Tolerances,
) -> tuple[Guard, ...]:
    """Compare every guard metric that both have with its bound; `..._few` are NDCG@10 of the least active users."""
    watched = [
        ("coverage@10", champion.value("coverage", 10), challenger.value("coverage", 10), -tolerances.coverage),
        ("NDCG@10 of the least active users", champion_few, challenger_few, -tolerances.least_active),
        ("RMSE", champion.value("rmse", None), challenger.value("rmse", None), tolerances.rmse),
    ]
    guards = []
    for metric, old, new, change in watched:
        if old is None or new is None or np.isnan(old) or np.isnan(new):
            continue
        bound = old * (1 + change)
        guards.append(
            Guard(metric, float(old), float(new), float(bound), bool(new <= bound if change > 0 else new >= bound))
        )
    return tuple(guards)


def _decide(champion: Candidate, challenges: Sequence[Challenge]) -> GateResult:
    best = next((challenge for challenge in challenges if not challenge.objections), None)
    if best is not None:
        guards = f"; {len(best.guards)} guard metrics within their tolerances" if best.guards else ""
        over = (
            ""
            if RANKING_BASELINE in (best.model, champion.model)
            else f"; popularity by {format_difference(best.gain_over_popularity.difference)}"
        )
        reason = f"{best.model} beats {champion.model} on validation by NDCG@10 {best.gain}{over}{guards}"
        return GateResult(best.model, best.version, reason, tuple(challenges))
    reason = f"{champion.model} stays: no challenger"
    if challenges:
        objections = "; ".join(challenges[0].objections)
        reason = f"{champion.model} stays; of {challenges[0].model}, the best challenger: {objections}"
    return GateResult(champion.model, champion.version, reason, tuple(challenges))
