"""The gate: a challenger takes over from the champion only where that is surely better, and costs nothing that matters.

Both were evaluated on the same validation fold. A challenger takes over if its NDCG@10 is higher than the champion's
over the same users, the 95 % interval of the paired difference wholly above zero; if it likewise beats popularity; and
if no guard metric falls by more than its tolerance. Of several the one with the highest NDCG@10 takes over. The test
fold is not looked at.

An interval of 95 % for each challenger means that of forty that are no better one would pass by chance. That is
accepted: what passes so is as good as the champion, never far worse, and the guards hold it all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC
from recsys_dagster.evaluation.store import CHOOSING_FOLD, MetricRow, PerUser
from recsys_dagster.models.registry import RANKING_BASELINE

_COLUMN = CHOOSING_METRIC.column
GATE_COLUMNS = ("user_idx", _COLUMN)
"""The per-user columns that `judge` needs."""
LEAST_ACTIVE_SHARE = 0.25


@dataclass(frozen=True)
class Tolerances:
    """By how much a guard metric may fall, as a share of the champion's."""

    coverage: float
    rmse: float
    least_active: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """A version of a model, as it was evaluated on validation.

    Attributes:
        model, version: which.
        metrics: its rows of `evaluation.metrics`, of whatever folds.
        per_user: its per-user results on validation; `GATE_COLUMNS` are enough.
    """

    model: str
    version: str
    metrics: Sequence[MetricRow]
    per_user: PerUser

    def value(self, metric: str, k: int | None) -> float | None:
        """Return a metric on validation; None where the model has none, or it is not a number."""
        found = [row.value for row in self.metrics if (row.fold, row.metric, row.k) == (CHOOSING_FOLD, metric, k)]
        return found[0] if found and not np.isnan(found[0]) else None


@dataclass(frozen=True)
class Guard:
    """A metric that must not fall.

    Attributes:
        metric: its name for a person.
        champion, challenger: its values.
        bound: the worst that is tolerated.
        passed: whether the challenger keeps to it.
    """

    metric: str
    champion: float
    challenger: float
    bound: float
    passed: bool


@dataclass(frozen=True)
class Trial:
    """A challenger held against the champion.

    Attributes:
        model, version: the challenger.
        ahead: its NDCG@10 on validation minus the champion's, paired over users.
        over_popularity: the same against popularity, nothing where the challenger is popularity.
        guards: those that both have.
    """

    model: str
    version: str
    ahead: Interval
    over_popularity: Interval
    guards: tuple[Guard, ...]

    @property
    def objections(self) -> list[str]:
        """Why it may not take over; empty where it may."""
        found = []
        if self.ahead.low <= 0:
            found.append(f"NDCG@10 {said(self.ahead)} is not surely better than the champion's")
        if self.model != RANKING_BASELINE and self.over_popularity.low <= 0:
            found.append(f"NDCG@10 {said(self.over_popularity)} is not surely better than popularity's")
        found += [
            f"{guard.metric} {guard.challenger:.4f} is worse than {guard.bound:.4f}, the champion's "
            f"{guard.champion:.4f} within its tolerance"
            for guard in self.guards
            if not guard.passed
        ]
        return found


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        model, version: who is champion from now on.
        reason: why, in words.
        trials: every challenger, the best on validation first; empty where there was no champion to be challenged.
    """

    model: str
    version: str
    reason: str
    trials: tuple[Trial, ...]


def said(difference: Interval) -> str:
    """Return a difference with its interval, for a person."""
    return f"{difference.value:+.4f} (95 % {difference.low:+.4f} to {difference.high:+.4f})"


def judge(
    champion: Candidate,
    challengers: Sequence[Candidate],
    activity: NDArray[np.integer],
    tolerances: Tolerances,
    *,
    seed: int,
) -> Verdict:
    """Return who is champion from now on, and how each challenger did.

    Args:
        champion: the incumbent on today's folds.
        challengers: all others, popularity among them unless it is the champion.
        activity: (n_users,) training pairs of each user, by index.
        tolerances: of the guards.
        seed: of the paired bootstrap.

    Raises:
        RecsysError: popularity was not evaluated, or the candidates were evaluated on different users.
    """
    challengers = [one for one in challengers if one.value(*CHOOSING_METRIC) is not None]
    popularity = next((one for one in (champion, *challengers) if one.model == RANKING_BASELINE), None)
    if popularity is None:
        raise RecsysError(f"{RANKING_BASELINE} was not evaluated; run evaluation/{RANKING_BASELINE} first")
    users = np.asarray(champion.per_user["user_idx"])
    asked = ~np.isnan(champion.per_user[_COLUMN])
    for one in challengers:
        same = np.array_equal(one.per_user["user_idx"], users)
        if not same or not np.array_equal(~np.isnan(one.per_user[_COLUMN]), asked):
            raise RecsysError(
                f"{one.model} and {champion.model} were evaluated on different users; run evaluation/{one.model} and "
                f"evaluation/{champion.model} again on the same folds"
            )
    columns = np.column_stack([one.per_user[_COLUMN][asked] for one in (champion, *challengers)])
    few = columns[least_active(activity[users[asked]])]
    of_few: list[float | None] = few.mean(axis=0).tolist() if len(few) else [None] * columns.shape[1]
    reference = columns[:, [champion, *challengers].index(popularity)]
    trials = [
        Trial(one.model, one.version, ahead, over, _guards(champion, one, of_few[0], of_one, tolerances))
        for one, ahead, over, of_one in zip(
            challengers,
            _differences(columns[:, 1:], columns[:, 0], seed),
            _differences(columns[:, 1:], reference, seed),
            of_few[1:],
            strict=True,
        )
    ]
    trials.sort(key=lambda trial: (-trial.ahead.value, trial.model))
    return _verdict(champion, trials)


def least_active(activity: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which of the users are the least active quarter of those with any training pair.

    Users without one are left out: every model serves them by popularity. Ties at the edge are all in.
    """
    known = activity > 0
    if not known.any():
        return np.zeros(len(activity), dtype=bool)
    few: NDArray[np.bool_] = known & (activity <= np.quantile(activity[known], LEAST_ACTIVE_SHARE))
    return few


def _differences(challengers: NDArray[np.float64], reference: NDArray[np.float64], seed: int) -> list[Interval]:
    if not challengers.shape[1]:
        return []
    return paired_differences(challengers, reference, np.ones(len(reference)), mean, seed=seed)


def _guards(
    champion: Candidate,
    challenger: Candidate,
    champion_few: float | None,
    challenger_few: float | None,
    tolerances: Tolerances,
) -> tuple[Guard, ...]:
    """Hold every metric that both have to its bound; `..._few` are the means of NDCG@10 of the least active users."""
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


def _verdict(champion: Candidate, trials: Sequence[Trial]) -> Verdict:
    best = next((trial for trial in trials if not trial.objections), None)
    if best is not None:
        kept = f", {len(best.guards)} guard metrics within their tolerances" if best.guards else ""
        over = (
            "" if RANKING_BASELINE in (best.model, champion.model) else f"; popularity by {said(best.over_popularity)}"
        )
        reason = f"{best.model} beats {champion.model} on validation by NDCG@10 {said(best.ahead)}{over}{kept}"
        return Verdict(best.model, best.version, reason, tuple(trials))
    reason = f"{champion.model} stays: no challenger"
    if trials:
        reason = f"{champion.model} stays; of {trials[0].model}, the best challenger: {'; '.join(trials[0].objections)}"
    return Verdict(champion.model, champion.version, reason, tuple(trials))
