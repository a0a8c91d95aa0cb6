"""Searching for better parameters on the validation fold; the test fold is never looked at.

A trial is fitted on a quarter of the users first, and given up there if it does worse than most did; then on all of
them. Everything tried is kept in `models/<domain>/<model>/tuning.db`, so that a search goes on where it was left, and
the best of it in `tuned.json` beside, which the next fit of the model on the domain goes by.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.evaluate import evaluate, predictions
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import LONG_LIST, RATING_METRIC
from recsys_dagster.model_store.tuned import Tuned, write_tuned
from recsys_dagster.models.base import Model
from recsys_dagster.models.capabilities import RatingPredictor
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import optuna

RANKING_METRIC = MetricKey("ndcg", LONG_LIST)
"""The metric that is maximised for a model that predicts no ratings; for the others the RMSE is minimised."""
USER_SHARE = 0.25
"""Share of the users that a trial is fitted on first."""
LEAST_JUDGED = 50
"""Users of the validation fold that are enough to give a trial up by."""
TRIALS_BEFORE_PRUNING = 5
DEFAULT = "default"
"""Marks the trial of the model's default parameters."""


def tune(run: DomainRun, name: str, trials: int) -> Tuned:
    """Search until `trials` choices of parameters have been tried, those of earlier searches on the same data included.

    The model's defaults are tried first, so that the best is never worse. What fails is said and passed over.

    Args:
        run: the domain, whose validation fold decides; the seed of its settings is that of every trial.
        name: of the model.
        trials: how many there are to be in the end.

    Raises:
        UsageError: there is no such model, or nothing to search in the model.
        RecsysError: the domain has no features yet, or nothing that was tried worked.
    """
    import optuna

    kind = searchable(name)
    domain, warehouse, manifest = run.domain, run.warehouse, run.manifest
    data, index = load_training_data(warehouse, domain), id_map_hash(warehouse)
    seed = run.settings.seed
    trials_file = run.layout.tuning_trials(domain.name, name).absolute()
    trials_file.parent.mkdir(parents=True, exist_ok=True)
    metric = str(RATING_METRIC if issubclass(kind, RatingPredictor) else RANKING_METRIC)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{trials_file}",
        study_name=f"{metric}, data {manifest.data_version}, index {index}, seed {seed}",
        direction="minimize" if issubclass(kind, RatingPredictor) else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING),
        load_if_exists=True,
    )
    before = len(_tried(study))
    # With the seed alone a search that goes on would draw the first choices once more.
    study.sampler = optuna.samplers.TPESampler(seed=seed + before)
    if _default_value(study) is None:
        study.enqueue_trial(_defaults(kind), user_attrs={DEFAULT: True})
    parts = _parts(data, seed)
    for place in range(before + 1, trials + 1):
        trial = study.ask()
        try:
            value = _value(kind, trial, parts, seed)
        except (RecsysError, MemoryError) as error:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            outcome = f"failed: {error}"
        else:
            study.tell(trial, value, state=optuna.trial.TrialState.PRUNED if value is None else None)
            outcome = "given up" if value is None else f"{metric} {value:.4f}, best {study.best_value:.4f}"
        announce(f"{name} {place} of {trials}: {outcome}; {_said(trial.params)}")
    if not _tried(study, pruned=False):
        raise RecsysError(f"{name}: nothing that was tried worked; the reasons are given above")
    tuned = Tuned(
        model=name,
        domain=domain.name,
        dataset=manifest.dataset_id,
        data_version=manifest.data_version,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        metric=metric,
        value=study.best_value,
        default_value=_default_value(study),
        params=kind.params_type(**study.best_params).model_dump(),
        trials=len(_tried(study)),
        pruned=len(_tried(study)) - len(_tried(study, pruned=False)),
    )
    write_tuned(run.layout, tuned)
    return tuned


def searchable(name: str) -> type[Model]:
    """Return the model of that name; raise UsageError, listing those there are, if it has nothing to search."""
    kind = get_model_class(name)
    if not kind.params_type.searched:
        known = ", ".join(other for other in model_names() if get_model_class(other).params_type.searched)
        raise UsageError(f"there is nothing to search in {name}; known: {known}")
    return kind


def _defaults(kind: type[Model]) -> dict[str, Any]:
    """The defaults of what is searched."""
    defaults = kind.params_type().model_dump()
    return {parameter: defaults[parameter] for parameter in kind.params_type.searched}


def _tried(study: "optuna.Study", *, pruned: bool = True) -> "list[optuna.trial.FrozenTrial]":
    """Return the trials that were finished; those that were killed or failed are not among them."""
    from optuna.trial import TrialState

    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED] if pruned else [TrialState.COMPLETE])


def _default_value(study: "optuna.Study") -> float | None:
    values = [trial.value for trial in _tried(study, pruned=False) if DEFAULT in trial.user_attrs]
    return values[0] if values else None


def _parts(data: TrainingData, seed: int) -> list[TrainingData]:
    """Return the data of a growing share of the users, all of them last.

    The share is taken of those in the validation fold and of the others alike; where it would leave too few of the
    former to judge by, there is no part but the whole.
    """
    judged = np.bincount(data.validation.users, minlength=data.n_users) > 0
    if USER_SHARE * np.count_nonzero(judged) < LEAST_JUDGED:
        return [data]
    drawn = np.random.default_rng(seed).random(data.n_users)
    bounds = [np.quantile(drawn[group], USER_SHARE) if group.any() else 0 for group in (~judged, judged)]
    kept = drawn <= np.where(judged, bounds[1], bounds[0])
    train, validation = (pairs.where(kept[pairs.users]) for pairs in (data.train, data.validation))
    return [replace(data, train=train, validation=validation), data]


def _value(kind: type[Model], trial: "optuna.Trial", parts: list[TrainingData], seed: int) -> float | None:
    """Return the value of the trial on the whole of the data; None if it was given up on a part."""
    searched = kind.params_type.searched
    params = kind.params_type(**{name: choices.suggest(trial, name) for name, choices in searched.items()})
    for step, part in enumerate(parts):
        value = _judged(kind(params, seed=seed).fit(part), part)
        trial.report(value, step)
        if part is not parts[-1] and DEFAULT not in trial.user_attrs and trial.should_prune():
            return None
    return value


def _judged(model: Model, data: TrainingData) -> float:
    """Return the RMSE of a model that predicts ratings, else the NDCG, on the validation fold."""
    if isinstance(model, RatingPredictor):
        rated = data.validation.rated
        errors = predictions(model, rated).astype(np.float64) - rated.ratings
        return float(np.sqrt(np.mean(errors**2)))
    found = evaluate(
        model, data.validation, None, like_threshold=data.like_threshold, ks=(LONG_LIST,), seed=0, resamples=1
    )
    return next(metric.value for metric in found.metrics if metric.key == RANKING_METRIC)


def _said(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in params.items())
