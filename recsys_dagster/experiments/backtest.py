"""Measure what retraining would have been worth: repeat the retrain of each model before each of several past windows.

Before each window a model is fitted on everything that had happened by then, as for publication, and evaluated on what
users did in the window. Models that were fitted before an earlier window are evaluated on it too: what they lose is the
price of retraining less often. The lists exclude every item that the user had before the window, also those that came
after the fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import UNKNOWN_TIME, Interactions
from recsys_dagster.data.list_lengths import SHORT_LIST
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.evaluate import Evaluation, evaluate
from recsys_dagster.evaluation.intervals import Interval, paired_differences
from recsys_dagster.evaluation.metrics.ratios import mean
from recsys_dagster.evaluation.metrics.registry import CHOOSING_METRIC, RATING_METRIC
from recsys_dagster.evaluation.relevance import Relevance
from recsys_dagster.models.attempt import attempt, call_with_time_limit
from recsys_dagster.models.base import Model
from recsys_dagster.models.refit import fit_on_all
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.units import DAY_SECONDS
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import load_fold, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun

PERIODS = {"weekly": 7, "monthly": 28, "quarterly": 91, "yearly": 364}
"""Days between two retrains, by schedule."""
NEVER = "never"
MIN_USERS_PER_WINDOW = 10
"""Mean number of users with a relevant item in a window; with fewer, longer windows are chosen."""
MIN_TIMED_SHARE = 0.99
"""Share of the ratings that must have a time."""


@dataclass(frozen=True)
class WindowResult:
    """A model on one window, retrained before it.

    Attributes:
        model: its name.
        start: first moment of the window, in UTC.
        ndcg, rmse: the metrics; None where the model or the window has none.
        users: number of users that the NDCG@10 is over.
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
        model: its name.
        schedule: a key of `PERIODS`, or `never` for a model that is fitted once, before the first window.
        ndcg, rmse: over all windows; None where the model has none.
        gain: NDCG@10 minus that of `never`, paired over users; None for `never` itself.
    """

    model: str
    schedule: str
    ndcg: float
    rmse: float | None
    gain: Interval | None


@dataclass(frozen=True)
class Backtest:
    """The results of a backtest.

    Attributes:
        days: length of a window.
        windows: each model on each window, retrained before every one.
        schedules: each model on each schedule.
        too_short: schedules that are shorter than a window and so cannot be measured.
        skipped: the models that have no results, because a fit or an evaluation failed, with the reason.
    """

    days: int
    windows: list[WindowResult] = field(default_factory=list)
    schedules: list[ScheduleResult] = field(default_factory=list)
    too_short: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Windows:
    """The past windows of a domain.

    Attributes:
        data: all folds as one training fold.
        times: (len(data.train),) seconds since 1970.
        cuts: (n + 1,) the bounds of the n windows, rising.
        steps: by schedule, the number of windows between two retrains.
    """

    data: TrainingData
    times: NDArray[np.int64]
    cuts: NDArray[np.int64]
    steps: dict[str, int]

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def pairs(self, start: np.int64, stop: np.int64) -> Interactions:
        """Return the interactions in [start, stop)."""
        return self.data.train.where((self.times >= start) & (self.times < stop))

    def last_fit(self, window: int, step: int) -> int:
        """Return the window before which the model in service during `window` was fitted, on a schedule."""
        return window - window % step


def backtest(
    run: DomainRun,
    names: Sequence[str],
    n_windows: int,
    *,
    days: int | None = None,
    advance: Callable[[float], None] = lambda _: None,
) -> Backtest:
    """Repeat the retrain of each model before each of the last windows of the domain's ratings.

    A model that fails, or takes longer than RECSYS_MODEL_SECONDS for a fit, is skipped.

    Args:
        run: the domain, whose features are built.
        names: names of the models, which are fitted with their default parameters.
        n_windows: number of windows.
        days: length of a window; by default the shortest of a week, a month, a quarter and a year in which enough users
            like an item.
        advance: called with the number of windows that are done, of all models.

    Raises:
        UsageError: a model does not exist.
        RecsysError: the ratings have no times, too few users like an item in windows of that length, or every model was
            skipped.
    """
    model_classes = [get_model_class(name) for name in names]
    windows = _make_windows(run, n_windows, days)
    days = int(windows.cuts[1] - windows.cuts[0]) // DAY_SECONDS
    result = Backtest(days, too_short=tuple(name for name, period in PERIODS.items() if period < days))
    for model_class in model_classes:
        done: list[float] = []

        def step(share: float, done: list[float] = done) -> None:
            done.append(share)
            advance(share)

        evaluate_windows = partial(_evaluate_windows, model_class, windows, run.settings, step)
        attempted = attempt(model_class.name, evaluate_windows)
        if attempted.value is None:
            result.skipped[model_class.name] = attempted.outcome.reason
            advance(n_windows - sum(done))
            continue
        evaluations = attempted.value
        for window in range(n_windows):
            evaluation = evaluations.get((window, window))
            result.windows.append(_window_result(model_class.name, int(windows.cuts[window]), evaluation))
        result.schedules.extend(_schedule_results(model_class.name, windows, evaluations, run.settings.seed))
    if not result.schedules:
        raise RecsysError("; ".join(f"{name} skipped: {reason}" for name, reason in result.skipped.items()))
    return result


def _make_windows(run: DomainRun, n_windows: int, days: int | None) -> _Windows:
    warehouse = run.warehouse
    data = load_training_data(warehouse).with_all(load_fold(warehouse, "test"))
    times = _times(data.train, data.scale is None, run.domain.name)
    if data.like_threshold is None:
        liked = np.ones(len(data.train), dtype=bool)
    else:
        liked = data.train.ratings >= data.like_threshold
        if not liked.any():
            raise RecsysError(
                f"{run.domain.name}: no rating reaches the like threshold of {data.like_threshold:g}, so no item is "
                "relevant in any window"
            )
    if days is None:
        days = _shortest_window(times[liked], data.train.users[liked], int(times.max()), n_windows)
    cuts = int(times.max()) + 1 - days * DAY_SECONDS * np.arange(n_windows, -1, -1, dtype=np.int64)
    if not (times < cuts[0]).any():
        raise RecsysError(f"{n_windows} windows of {days} days are longer than the data; take fewer, or shorter ones")
    steps = {name: round(period / days) for name, period in PERIODS.items() if period >= days}
    steps = {name: step for name, step in steps.items() if step < n_windows} | {NEVER: n_windows}
    return _Windows(data, times, cuts, steps)


def _times(pairs: Interactions, is_implicit: bool, domain: str) -> NDArray[np.int64]:
    """Return the time of each pair, unknown ones as the distant past."""
    times = pairs.times
    counts = is_implicit | ~np.isnan(pairs.ratings)
    has_time = np.zeros(len(pairs), bool) if times is None else times != UNKNOWN_TIME
    timed_share = float(has_time[counts].mean()) if counts.any() else 0.0
    if times is None or timed_share < MIN_TIMED_SHARE:
        what = "interactions" if is_implicit else "ratings"
        raise RecsysError(
            f"{domain}: {timed_share:.0%} of the {what} have a time, so there are no past windows to go back to; a "
            "backtest needs a dataset with times, such as ml-latest-small"
        )
    return times


def _shortest_window(times: NDArray[np.int64], users: NDArray[np.int32], last: int, n_windows: int) -> int:
    """Return the shortest length in days at which enough users, on average, like an item in a window."""
    for days in PERIODS.values():
        age = (last - times) // (days * DAY_SECONDS)
        is_within = age < n_windows
        n_users = len(np.unique(users[is_within].astype(np.int64) * n_windows + age[is_within]))
        if n_users >= MIN_USERS_PER_WINDOW * n_windows:
            return days
    raise RecsysError(
        f"fewer than {MIN_USERS_PER_WINDOW} users a year like an item in these data, on average; a backtest needs more "
        "ratings, or a length of the windows with --days"
    )


def _evaluate_windows(
    model_class: type[Model], windows: _Windows, settings: Settings, advance: Callable[[float], None]
) -> dict[tuple[int, int], Evaluation]:
    """Return the evaluations that the schedules need, by (window before which the model was fitted, window).

    Windows without a relevant item are skipped. No more models than schedules are kept in memory.
    """
    data, cuts, seed = windows.data, windows.cuts, settings.seed
    evaluations: dict[tuple[int, int], Evaluation] = {}
    fitted: dict[int, Model] = {}
    for window in range(len(windows)):
        needed = {windows.last_fit(window, step) for step in {1, *windows.steps.values()}}
        known = data.train.where(windows.times < cuts[window])
        fitted = {start: model for start, model in fitted.items() if start in needed}
        fit = partial(fit_on_all, model_class, replace(data, train=known), seed=seed)
        fitted[window] = call_with_time_limit(fit, settings.model_seconds)
        pairs = windows.pairs(cuts[window], cuts[window + 1])
        if len(Relevance.LIKED.relevant(pairs, data.like_threshold)):
            for start in needed:
                exclude = windows.pairs(cuts[start], cuts[window]).matrix(data.n_users, data.n_items)
                evaluations[start, window] = evaluate(
                    fitted[start], pairs, exclude, like_threshold=data.like_threshold, ks=(SHORT_LIST,), seed=seed
                )
        advance(1)
    return evaluations


def _window_result(model: str, start: int, evaluation: Evaluation | None) -> WindowResult:
    ndcg, rmse = (None if evaluation is None else evaluation.value(key) for key in (CHOOSING_METRIC, RATING_METRIC))
    return WindowResult(
        model,
        datetime.fromtimestamp(start, UTC),
        ndcg.value if ndcg else None,
        rmse.value if rmse else None,
        ndcg.users if ndcg else 0,
    )


def _schedule_results(
    model: str, windows: _Windows, evaluations: dict[tuple[int, int], Evaluation], seed: int
) -> list[ScheduleResult]:
    """Add up the windows of each schedule by user: a user is one cluster in however many windows."""
    ndcg = CHOOSING_METRIC.column
    sums: dict[str, dict[str, NDArray[np.float64]]] = {}
    for schedule, step in windows.steps.items():
        columns = {name: np.zeros(windows.data.n_users) for name in (ndcg, "windows", "squared_error", "pairs")}
        for window in range(len(windows)):
            evaluation = evaluations.get((windows.last_fit(window, step), window))
            if evaluation is None:
                continue
            per_user = evaluation.per_user | {"windows": evaluation.per_user["relevant"] > 0}
            for name in columns.keys() & per_user.keys():
                columns[name] += np.bincount(
                    per_user["user_idx"], np.nan_to_num(per_user[name]), minlength=windows.data.n_users
                )
        sums[schedule] = columns
    n_windows = sums[NEVER]["windows"]  # in which the user has a relevant item; the same on every schedule
    if not n_windows.any():
        raise RecsysError(f"{model}: no user likes an item in any window; choose longer ones with --days")
    is_eligible = n_windows > 0
    results = []
    for schedule, columns in sums.items():
        gain = None
        if schedule != NEVER:
            values, reference = columns[ndcg][is_eligible][:, None], sums[NEVER][ndcg][is_eligible]
            (gain,) = paired_differences(values, reference, n_windows[is_eligible], mean, seed=seed)
        pairs = columns["pairs"].sum()
        rmse = float(np.sqrt(columns["squared_error"].sum() / pairs)) if pairs else None
        results.append(ScheduleResult(model, schedule, float(columns[ndcg].sum() / n_windows.sum()), rmse, gain))
    return results
