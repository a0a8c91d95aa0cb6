"""What retraining would have been worth: the whole retrain repeated over past windows of time.

Before each window a model is fitted on everything that had happened by then, as for publication, and judged on what its
users did in the window. Models that were fitted before an earlier window are judged on it too: what they lose is what
retraining less often would have cost. Of a user's titles those up to the window are left out of the lists, also those
that came after the fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import Evaluation, evaluate
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.models.base import Model
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.units import DAY_SECONDS
from recsys_dagster.warehouse.arrays import load_fold, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun

PERIODS = {"weekly": 7, "monthly": 28, "quarterly": 91, "yearly": 364}
"""Days between two retrains."""
NEVER = "never"

LEAST_JUDGED = 10
"""People a window that are enough to judge a model by, on average; with fewer the windows are made longer."""
KNOWN_SHARE = 0.99
"""Of the ratings, those that must have a time."""


@dataclass(frozen=True)
class WindowResult:
    """A model on one window, retrained before it.

    Attributes:
        model: its name.
        start: first day of the window, in UTC.
        ndcg, rmse: None where it has none; `users` is how many the NDCG@10 is over.
    """

    model: str
    start: datetime
    ndcg: float | None
    rmse: float | None
    users: int


@dataclass(frozen=True)
class ScheduleResult:
    """A model over all windows, retrained on a schedule.

    Attributes:
        model, schedule: which; `never` is fitted once, before the first window.
        ndcg, rmse: over all that happened in the windows; None where the model has none.
        gain: NDCG@10 minus that of `never`, paired over users; None for `never` itself.
    """

    model: str
    schedule: str
    ndcg: float
    rmse: float | None
    gain: Interval | None


@dataclass(frozen=True)
class Backtest:
    """What a backtest found.

    Attributes:
        days: length of a window.
        windows: each model on each window, retrained before every one.
        schedules: each model on each schedule.
        untold: schedules that are shorter than a window, of which nothing can be said.
    """

    days: int
    windows: list[WindowResult] = field(default_factory=list)
    schedules: list[ScheduleResult] = field(default_factory=list)
    untold: tuple[str, ...] = ()


def backtest(
    run: DomainRun,
    names: Sequence[str],
    n_windows: int,
    *,
    days: int | None = None,
    advance: Callable[[float], None] = lambda _: None,
) -> Backtest:
    """Repeat the retrain of each model before each of the last windows of the domain's ratings.

    Args:
        run: the domain, whose features are there.
        names: of the models, which are fitted with their default parameters.
        n_windows: how many.
        days: length of a window; unless given, the shortest of a week, a month, a quarter and a year in which enough
            people like something.
        advance: is told of each model and window that is done.

    Raises:
        UsageError: a model does not exist.
        RecsysError: the ratings have no times, or too few people liked anything in windows of that length.
    """
    kinds = [get_model_class(name) for name in names]
    warehouse = run.warehouse
    data = load_training_data(warehouse, run.domain).with_all(load_fold(warehouse, "test"))
    times = _times(data.train, run.domain.name)
    likes = data.train.ratings >= data.like_threshold
    if days is None:
        days = _long_enough(times[likes], data.train.users[likes], int(times.max()), n_windows)
    cuts = int(times.max()) + 1 - days * DAY_SECONDS * np.arange(n_windows, -1, -1, dtype=np.int64)
    if not (times < cuts[0]).any():
        raise RecsysError(f"{n_windows} windows of {days} days are longer than the data; take fewer, or shorter ones")
    steps = {name: round(period / days) for name, period in PERIODS.items() if period >= days}
    steps = {name: every for name, every in steps.items() if every < n_windows} | {NEVER: n_windows}
    found = Backtest(days, untold=tuple(name for name, period in PERIODS.items() if period < days))
    for kind in kinds:
        judged = _judged(kind, data, times, cuts, sorted({1, *steps.values()}), run.settings.seed, advance)
        for window in range(n_windows):
            found.windows.append(_window(kind.name, int(cuts[window]), judged.get((window, window))))
        found.schedules.extend(_schedules(kind.name, judged, steps, data.n_users, n_windows, run.settings.seed))
    return found


def _times(pairs: Interactions, domain: str) -> NDArray[np.int64]:
    """Return the time of each pair, the unknown ones long ago."""
    times = pairs.times
    rated = ~np.isnan(pairs.ratings)
    known = 0.0 if times is None else float((times[rated] != np.iinfo(np.int64).min).mean())
    if times is None or known < KNOWN_SHARE:
        raise RecsysError(
            f"{domain}: {known:.0%} of the ratings have a time, so there are no past windows to go back to; a backtest "
            "needs a dataset with times, such as ml-latest-small"
        )
    return times


def _long_enough(times: NDArray[np.int64], users: NDArray[np.int32], last: int, n_windows: int) -> int:
    """Return the shortest length in days at which `LEAST_JUDGED` people like something in a window, on average."""
    for days in PERIODS.values():
        age = (last - times) // (days * DAY_SECONDS)
        within = age < n_windows
        people = len(np.unique(users[within].astype(np.int64) * n_windows + age[within]))
        if people >= LEAST_JUDGED * n_windows:
            return days
    raise RecsysError(
        f"fewer than {LEAST_JUDGED} people like anything in a year of these data, on average; a backtest needs more "
        "ratings, or say the length of a window: --days"
    )


def _judged(
    kind: type[Model],
    data: TrainingData,
    times: NDArray[np.int64],
    cuts: NDArray[np.int64],
    steps: Sequence[int],
    seed: int,
    advance: Callable[[float], None],
) -> dict[tuple[int, int], Evaluation]:
    """Return, by (window before which it was fitted, window it is judged on), what the schedules need.

    Windows in which nobody likes anything are left out. No more models than schedules are held at once.
    """
    found: dict[tuple[int, int], Evaluation] = {}
    fitted: dict[int, Model] = {}
    for window in range(len(cuts) - 1):
        needed = {window - window % every for every in steps}
        known = data.train.where(times < cuts[window])
        fitted = {start: model for start, model in fitted.items() if start in needed}
        fitted[window] = fit_on_all(kind, replace(data, train=known), seed=seed)
        pairs = data.train.where((times >= cuts[window]) & (times < cuts[window + 1]))
        for start in needed if len(pairs.liked(data.like_threshold)) else ():
            since = data.train.where((times >= cuts[start]) & (times < cuts[window]))
            owned = since.matrix(data.n_users, data.n_items)
            found[start, window] = evaluate(
                fitted[start], pairs, owned, like_threshold=data.like_threshold, ks=(10,), seed=seed
            )
        advance(1)
    return found


def _window(model: str, start: int, result: Evaluation | None) -> WindowResult:
    metrics = {metric.metric: metric for metric in result.metrics} if result else {}
    ndcg, rmse = metrics.get("ndcg"), metrics.get("rmse")
    return WindowResult(
        model,
        datetime.fromtimestamp(start, UTC),
        ndcg.value if ndcg else None,
        rmse.value if rmse else None,
        ndcg.users if ndcg else 0,
    )


def _schedules(
    model: str,
    judged: dict[tuple[int, int], Evaluation],
    steps: dict[str, int],
    n_users: int,
    n_windows: int,
    seed: int,
) -> list[ScheduleResult]:
    """Put the windows of each schedule together: sums over each user, who is one cluster however often seen."""
    sums: dict[str, dict[str, NDArray[np.float64]]] = {}
    for schedule, every in steps.items():
        columns = {name: np.zeros(n_users) for name in ("ndcg_10", "asked", "squared_error", "pairs")}
        for window in range(n_windows):
            result = judged.get((window - window % every, window))
            if result is None:
                continue
            per_user = result.per_user | {"asked": result.per_user["relevant"] > 0}
            for name in columns.keys() & per_user.keys():
                columns[name] += np.bincount(per_user["user_idx"], np.nan_to_num(per_user[name]), minlength=n_users)
        sums[schedule] = columns
    asked = sums[NEVER]["asked"]
    if not asked.any():
        raise RecsysError(f"{model}: nobody likes anything in any window; take longer ones: --days")
    seen = asked > 0
    results = []
    for schedule, columns in sums.items():
        gain = None
        if schedule != NEVER:
            values = columns["ndcg_10"][seen][:, None]
            (gain,) = paired_differences(values, sums[NEVER]["ndcg_10"][seen], asked[seen], mean, seed=seed)
        pairs = columns["pairs"].sum()
        rmse = float(np.sqrt(columns["squared_error"].sum() / pairs)) if pairs else None
        results.append(ScheduleResult(model, schedule, float(columns["ndcg_10"].sum() / asked.sum()), rmse, gain))
    return results
