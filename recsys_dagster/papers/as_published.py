"""Evaluate the papers' systems under the papers' protocols, and the same systems on the folds of the lineage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.evaluate import predictions
from recsys_dagster.evaluation.metrics.classification import auc, classification_sums
from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean
from recsys_dagster.evaluation.metrics.registry import user_ratio
from recsys_dagster.models.base import Model
from recsys_dagster.models.networks.dropout_mlp import DropoutMlpParams, equally_frequent
from recsys_dagster.models.params import Params
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.details import fit_details, rating_counts, stack_weights
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.fault_inputs import MODEL as LEAKY_TWO_TOWER
from recsys_dagster.papers.fault_inputs import scaled, substring_genres
from recsys_dagster.papers.fault_ratings import STACKS, like_probabilities, member_ratings, minus_one_for_none
from recsys_dagster.papers.orders import next_item_scores, sequences, upcoming_items
from recsys_dagster.papers.printed import DATA, PRINTED
from recsys_dagster.papers.records import TRAINING, PaperConfusion, PaperRow, Record
from recsys_dagster.papers.scores import Score, absolute_errors, squared_errors
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.spark_process import spark_problem

RIDGE_ALPHA = 1.0
SEQUENCES_HELD_OUT = 0.2
SEQUENCE_LENGTH = 18
BILSTMS: dict[str, dict[str, int]] = {
    "bilstm": {},
    "bilstm (sequences of 15)": {"sequence_length": 15},
    "bilstm (shuffled order)": {"shuffle_order": True},
}
"""What differs from the preset `paper` in each run: the two lengths that paper 002 compares, and shuffled histories."""
LIKE_MODELS = ("like_classifier", "like_logistic", "like_forest", "like_naive_bayes")

Ratings = NDArray[np.floating] | float
"""Predictions of the rated pairs of a test fold: (n,), or one constant."""
Values = dict[str, float]
"""Metrics by name."""


def _rmse(ratings: Ratings, experiment: Experiment) -> Score:
    return squared_errors(ratings, experiment.test.rated, experiment.n_users, root_mean)


def _mse(ratings: Ratings, experiment: Experiment) -> Score:
    return squared_errors(ratings, experiment.test.rated, experiment.n_users, mean)


def _mae(ratings: Ratings, experiment: Experiment) -> Score:
    return absolute_errors(ratings, experiment.test.rated, experiment.n_users)


def _mse_scaled(ratings: Ratings, experiment: Experiment) -> Score:
    return scaled(_mse(ratings, experiment), experiment.scale)


_ERRORS: dict[str, Callable[[Ratings, Experiment], Score]] = {
    "rmse": _rmse,
    "mse": _mse,
    "mae": _mae,
    "mse_scaled": _mse_scaled,
}


@dataclass(frozen=True)
class Trial:
    """A paper on real data: its own split, and the folds of the lineage.

    Attributes:
        paper: `000` to `004`.
        domain: name of the domain.
        published: the paper's split, with an empty validation fold.
        honest: the folds of the lineage.
    """

    paper: str
    domain: str
    published: Experiment
    honest: Experiment

    def rows(
        self,
        system: str,
        trivial: str,
        published: tuple[Values, Values],
        honest: tuple[Values, Values] = ({}, {}),
        counted: Experiment | None = None,
    ) -> Iterator[PaperRow]:
        """Give a row for each metric of a system.

        Args:
            system: name of the system.
            trivial: name of the trivial system.
            published: metrics of the system and of the trivial system under the paper's protocol.
            honest: the same on the folds of the lineage.
            counted: whose pairs are counted, if not those of `self.published`.
        """
        (values, trivial_values), (honest_values, honest_trivial_values) = published, honest
        experiment = counted or self.published
        for metric, value in values.items():
            printed_dataset, printed = PRINTED.get((self.paper, self.domain, system, metric), (None, None))
            yield PaperRow(
                paper=self.paper,
                system=system,
                dataset=self.published.dataset,
                metric=metric,
                printed_dataset=printed_dataset or DATA[self.paper][self.domain],
                printed=printed,
                as_published=value,
                as_published_trivial=trivial_values.get(metric),
                honest=honest_values.get(metric),
                honest_trivial=honest_trivial_values.get(metric),
                trivial=trivial,
                train_pairs=len(experiment.data.train),
                test_pairs=len(experiment.test),
            )

    def errors(self, system: str, metrics: tuple[str, ...], published: Ratings, honest: Ratings) -> Iterator[PaperRow]:
        """Give rating errors of a system; the trivial system is the constant, the mean rating of the training fold."""
        ours, fair = (
            (_errors(ratings, experiment, metrics), _errors(mean_rating(experiment), experiment, metrics))
            for experiment, ratings in ((self.published, published), (self.honest, honest))
        )
        learnt, tested = len(self.published.data.train.rated), len(self.published.test.rated)
        for row in self.rows(system, "constant", ours, fair):
            yield replace(row, train_pairs=learnt, test_pairs=tested)


def _errors(ratings: Ratings, experiment: Experiment, metrics: tuple[str, ...]) -> Values:
    return {name: _ERRORS[name](ratings, experiment).value for name in metrics}


def mean_rating(experiment: Experiment) -> float:
    """Return the mean rating of the training fold."""
    return float(experiment.data.train.rated.ratings.mean(dtype=np.float64))


def predicted_ratings(experiment: Experiment, name: str, params: Params | None = None) -> NDArray[np.float32]:
    """Return the (n,) predictions of the rated pairs of the test fold by a fitted model."""
    return predictions(experiment.fitted(name, params), experiment.test.rated)


def paper_000(trial: Trial) -> Iterator[Record]:
    """The embedding MLP: 100 epochs on anime, 30 on movies; once more with our learning rate and early stopping.

    The paper's learning rate is for hundreds of thousands of steps; a small part of its data gives too few.
    """
    preset = get_model_class("embedding_mlp").preset(f"paper_{trial.domain}")
    honest = predicted_ratings(trial.honest, "embedding_mlp")
    for system, params in (("embedding_mlp", preset), ("embedding_mlp (our training)", None)):
        watched = watching_test(trial.published, params)
        published = predicted_ratings(watched, "embedding_mlp", params)
        yield from trial.errors(system, ("mse", "mae"), published, honest)
        yield from training_errors(trial, system, "embedding_mlp", watched, params)
        yield from fit_details(trial.paper, system, watched, "embedding_mlp", params)


def watching_test(experiment: Experiment, params: Params | None) -> Experiment:
    """Return the experiment with its test fold as validation, as the papers draw their curves.

    Only where the parameters have no patience: then the validation fold changes nothing but the curves.
    """
    has_patience = params is None or getattr(params, "patience", 0) is not None
    return experiment if has_patience else experiment.on(validation=experiment.test)


def training_errors(
    trial: Trial, system: str, name: str, published_on: Experiment, params: Params | None
) -> Iterator[PaperRow]:
    """Give the errors of a model, and of the constant, on the ratings that were learnt from."""
    published = _training_errors(published_on, published_on.fitted(name, params))
    return trial.rows(system, "constant", published, _training_errors(trial.honest, trial.honest.fitted(name)))


def _training_errors(experiment: Experiment, model: Model) -> tuple[Values, Values]:
    seen = experiment.on(experiment.data.train)
    ours, constant = (
        {f"{name}{TRAINING}": value for name, value in _errors(ratings, seen, ("mse", "mae")).items()}
        for ratings in (predictions(model, seen.test.rated), mean_rating(seen))
    )
    return ours, constant


def paper_001(trial: Trial) -> Iterator[Record]:
    """The like classifier, standard classifiers, and the majority answer."""
    for name in LIKE_MODELS:
        preset = get_model_class(name).presets.get("paper")
        watched = watching_test(trial.published, preset)
        values = []
        for one, params in ((watched, preset), (trial.honest, None)):
            majority = is_liked(one.data.train.rated.ratings, one).mean() >= 0.5
            always = np.full(len(one.test.rated), float(majority))
            values.append(
                (like_metrics(like_probabilities(one, name, params), one), like_metrics(always, one)),
            )
        yield from trial.rows(name, "majority", values[0], values[1])
        yield from fit_details(trial.paper, name, watched, name, preset)


def is_liked(ratings: NDArray[np.float32], experiment: Experiment) -> NDArray[np.bool_]:
    """Return (n,) whether each rating is a like."""
    return ratings >= experiment.like_threshold


def like_metrics(probabilities: NDArray[np.floating], experiment: Experiment) -> Values:
    """Return accuracy, precision, recall, F1 and AUC, where defined, of the (n,) probabilities of the rated test pairs.

    A pair is predicted to be a like from a probability of 0.5 on.
    """
    liked = is_liked(experiment.test.rated.ratings, experiment)
    sums = classification_sums(np.zeros(len(liked), np.int64), liked, probabilities >= 0.5, None, 1)
    ratios = {name: user_ratio(MetricKey(f"like_{name}")) for name in ("accuracy", "precision", "recall", "f1")}
    values = {
        name: float(ratio.statistic(sums[ratio.total], sums[ratio.weight or ""])[0]) for name, ratio in ratios.items()
    }
    values["auc"] = auc(liked, probabilities)
    return {name: value for name, value in values.items() if not np.isnan(value)}


def paper_002(trial: Trial) -> Iterator[Record]:
    """The networks, the stacks and ALS on anime, the paper's domain; the BiLSTM on every domain with times."""
    if trial.domain == "anime":
        yield from _explicit(trial)
    yield from _implicit(trial)


def _explicit(trial: Trial) -> Iterator[Record]:
    """Networks that stop early on the test ratings, stacked by their predictions of the ratings they learnt from."""
    members = STACKS[0]
    presets = {name: get_model_class(name).presets["paper"] for name in members}
    peeking = trial.published.on(validation=trial.published.test)
    ours = member_ratings(peeking, members, presets, out_of_fold=False)
    fair = member_ratings(trial.honest, members)
    for column, name in enumerate(members):
        yield from trial.errors(name, ("rmse", "mae"), ours.test[:, column], fair.test[:, column])
        yield from fit_details(trial.paper, name, peeking, name, presets[name])
    for name, alpha in (("stack_linear", 0.0), ("stack_ridge", RIDGE_ALPHA)):
        published = ours.stacked(ours.in_sample, trial.published.scale, alpha)
        honest = fair.stacked(fair.out_of_fold, trial.honest.scale, alpha)
        yield from trial.errors(name, ("rmse", "mae"), published, honest)
        for protocol, fitted, seen in (("published", ours, ours.in_sample), ("honest", fair, fair.out_of_fold)):
            weights = dict(zip((*members, "intercept"), fitted.weights(seen, alpha), strict=True))
            yield from stack_weights(trial.paper, name, trial.published.dataset, protocol, weights)
    fair_als = predicted_ratings(trial.honest, "als")
    for system, preset in als_solvers().items():
        ratings = predicted_ratings(trial.published, "als", get_model_class("als").presets[preset])
        yield from trial.errors(system, ("rmse", "mae"), ratings, fair_als)


def als_solvers() -> dict[str, str]:
    """Return the preset of ALS for each system: on Spark, as the paper has it, if Spark is there; and without it."""
    problem, ours = spark_problem(), {"als (our solver)": "als_wr"}
    if problem is not None:
        announce(f"paper 002: its ALS is run without Spark only; {problem}")
        return ours
    return {"als": "spark", **ours}


def _implicit(trial: Trial) -> Iterator[Record]:
    """Predict the last item of sequences of 18; then of sequences of 15, and with histories in random order."""
    upcoming = upcoming_items(trial.honest)
    fair_popular = {} if upcoming is None else next_item_metrics(upcoming, "popularity")
    for system, changes in BILSTMS.items():
        params = get_model_class("bilstm").presets["paper"].model_copy(update=changes)
        published = sequences(trial.published, SEQUENCES_HELD_OUT, changes.get("sequence_length", SEQUENCE_LENGTH))
        if published is None:
            announce(f"paper 002: {trial.published.dataset} has no times, so that there are no sequences to learn from")
            return
        popular = next_item_metrics(published, "popularity")
        stopped = published.on(validation=published.test)
        model = stopped.fitted("bilstm", params)
        values = {str(key): score.value for key, score in next_item_scores(published, model).items()}
        fair = {} if upcoming is None else next_item_metrics(upcoming, "bilstm", parameters("bilstm", **changes))
        yield from trial.rows(system, "popularity", (values, popular), (fair, fair_popular), published)
        yield from fit_details(trial.paper, system, stopped, "bilstm", params)
        if not changes:
            loss = {"cross_entropy": min(model.history_["val_loss"])}
            uniform = {"cross_entropy": float(np.log(published.data.n_items))}
            yield from trial.rows(system, "uniform", (loss, uniform), counted=published)


def next_item_metrics(experiment: Experiment, name: str, params: Params | None = None) -> Values:
    """Return how well a fitted model finds the item of each test pair."""
    scores = next_item_scores(experiment, experiment.fitted(name, params))
    return {str(key): score.value for key, score in scores.items()}


def paper_003(trial: Trial) -> Iterator[Record]:
    """The two towers on inputs computed from all ratings, including those to be predicted, and genres by substring."""
    paper = get_model_class("two_tower").presets["paper"]
    leaky = trial.published.on(
        validation=trial.published.test, item_features=substring_genres(trial.published.data.item_features)
    )
    params = parameters(LEAKY_TWO_TOWER, **paper.model_dump())
    published = predicted_ratings(leaky, LEAKY_TWO_TOWER, params)
    honest = predicted_ratings(trial.honest, "two_tower")
    yield from trial.errors("two_tower", ("mse_scaled", "rmse"), published, honest)
    yield from fit_details(trial.paper, "two_tower", leaky, LEAKY_TWO_TOWER, params)


def paper_004(trial: Trial) -> Iterator[Record]:
    """The MLP with dropout, with a rating of -1 where there is none; once more on equally frequent ratings."""
    data, presets = trial.published.data, get_model_class("dropout_mlp").presets
    with_minus_one = trial.published.on(
        minus_one_for_none(trial.published.test),
        train=minus_one_for_none(data.train),
        scale=(-1.0, trial.published.scale[1]),
    )
    minus_one_trial = Trial(trial.paper, trial.domain, with_minus_one, trial.honest)
    honest = predicted_ratings(trial.honest, "dropout_mlp")
    yield from confusion_rows("dropout_mlp (honest)", trial.honest, honest)
    for system, preset in (("dropout_mlp", "paper"), ("dropout_mlp (balanced)", "paper_balanced")):
        watched = watching_test(with_minus_one, presets[preset])
        published = predicted_ratings(watched, "dropout_mlp", presets[preset])
        learnt = learnt_from(with_minus_one.data.train.rated, presets[preset], trial.published.seed)
        for row in minus_one_trial.errors(system, ("rmse",), published, honest):
            yield replace(row, train_pairs=len(learnt))
        yield from rating_counts(trial.paper, system, with_minus_one.dataset, learnt)
        yield from fit_details(trial.paper, system, watched, "dropout_mlp", presets[preset])
        yield from confusion_rows(system, with_minus_one, published)


def learnt_from(rated: Interactions, params: Params, seed: int) -> Interactions:
    """Return the pairs that the MLP with dropout learns from: all, or an equal number of each rating."""
    is_balanced = isinstance(params, DropoutMlpParams) and params.equal_frequencies
    return equally_frequent(rated, seed) if is_balanced else rated


def confusion_rows(system: str, experiment: Experiment, ratings: NDArray[np.float32]) -> Iterator[PaperConfusion]:
    """Give the confusion matrix of the (n,) predictions, rounded, of the rated test pairs."""
    pairs = np.column_stack([experiment.test.rated.ratings, np.rint(ratings)]).astype(np.int64)
    for (rating, predicted), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
        yield PaperConfusion("004", system, experiment.dataset, int(rating), int(predicted), int(count))


PAPERS: dict[str, Callable[[Trial], Iterator[Record]]] = {
    "000": paper_000,
    "001": paper_001,
    "002": paper_002,
    "003": paper_003,
    "004": paper_004,
}
"""By number, the function that gives the rows of a paper."""
