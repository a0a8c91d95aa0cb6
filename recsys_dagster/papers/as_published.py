"""The papers' systems under the papers' protocols, and the same systems under the honest one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.evaluation.evaluate import predictions
from recsys_dagster.evaluation.metrics.ratios import mean, root_mean
from recsys_dagster.models.base import Params
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.experiment import Experiment, parameters
from recsys_dagster.papers.fault_inputs import MODEL as LEAKY_TWO_TOWER
from recsys_dagster.papers.fault_inputs import scaled, substring_genres
from recsys_dagster.papers.fault_ratings import STACKS, member_ratings, minus_one_for_none
from recsys_dagster.papers.orders import next_item_scores, next_titles, sequences
from recsys_dagster.papers.printed import DATA, PRINTED
from recsys_dagster.papers.records import PaperConfusion, PaperRow
from recsys_dagster.papers.scores import Score, absolute_errors, squared_errors
from recsys_dagster.runtime.progress import announce

RIDGE_ALPHA = 1.0
SEQUENCES_HELD_OUT = 0.2
LIKE_MODELS = ("like_classifier", "like_logistic", "like_forest", "like_naive_bayes")

Ratings = NDArray[Any] | float
"""Predictions of the rated pairs of a test fold: one each, or one for all."""
Figures = dict[str, float]
"""Metrics by name."""

_MEASURES: dict[str, Callable[[Ratings, Experiment], Score]] = {
    "rmse": lambda said, one: squared_errors(said, one.test.rated, one.n_users, root_mean),
    "mse": lambda said, one: squared_errors(said, one.test.rated, one.n_users, mean),
    "mae": lambda said, one: absolute_errors(said, one.test.rated, one.n_users),
    "mse_scaled": lambda said, one: scaled(squared_errors(said, one.test.rated, one.n_users, mean), one.data.scale),
}


@dataclass(frozen=True)
class Trial:
    """A paper's protocol on real data beside the honest one.

    Attributes:
        paper: `000` to `004`.
        domain: of the data.
        published: the paper's split; nothing to validate on.
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
        published: tuple[Figures, Figures],
        honest: tuple[Figures, Figures] = ({}, {}),
        counted: Experiment | None = None,
    ) -> Iterator[PaperRow]:
        """Give each metric of the system beside the printed one and beside what knows nothing of anybody.

        Args:
            system: the model.
            trivial: what knows nothing.
            published, honest: the metrics of the system, and those of what knows nothing.
            counted: whose pairs are counted, where they are not those of `published`.
        """
        ours, lazy = published
        fair, fair_lazy = honest
        where = counted or self.published
        for metric, value in ours.items():
            printed_on, printed = PRINTED.get((self.paper, self.domain, system, metric), (None, None))
            yield PaperRow(
                paper=self.paper,
                system=system,
                dataset=self.published.dataset,
                metric=metric,
                printed_dataset=printed_on or DATA[self.paper][self.domain],
                printed=printed,
                as_published=value,
                as_published_trivial=lazy.get(metric),
                honest=fair.get(metric),
                honest_trivial=fair_lazy.get(metric),
                trivial=trivial,
                train_pairs=len(where.data.train),
                test_pairs=len(where.test),
            )

    def errors(self, system: str, metrics: tuple[str, ...], published: Ratings, honest: Ratings) -> Iterator[PaperRow]:
        """Give rating errors beside those of the constant, the mean rating of the training fold."""
        both = [
            ({name: _MEASURES[name](said, one).value for name in metrics}, constant(one, metrics))
            for one, said in ((self.published, published), (self.honest, honest))
        ]
        return self.rows(system, "constant", both[0], both[1])


def constant(experiment: Experiment, metrics: tuple[str, ...]) -> Figures:
    """Return the errors of the mean rating of the training fold."""
    rating = float(experiment.data.train.rated.ratings.mean(dtype=np.float64))
    return {name: _MEASURES[name](rating, experiment).value for name in metrics}


def said_by(experiment: Experiment, name: str, params: Params | None = None) -> NDArray[np.float32]:
    """Return what the model predicts for the rated pairs of the test fold."""
    return predictions(experiment.fitted(name, params), experiment.test.rated)


def paper_000(trial: Trial) -> Iterator[PaperRow]:
    """The embedding MLP: 100 epochs on anime, 30 on movies; once more with our learning rate and early stopping.

    The paper's learning rate is for hundreds of thousands of steps; on a small part of its data there are too few.
    """
    preset = get_model_class("embedding_mlp").presets[f"paper-{trial.domain}"]
    honest = said_by(trial.honest, "embedding_mlp")
    for system, params in (("embedding_mlp", preset), ("embedding_mlp (our training)", None)):
        published = said_by(trial.published, "embedding_mlp", params)
        yield from trial.errors(system, ("mse", "mae"), published, honest)


def paper_001(trial: Trial) -> Iterator[PaperRow]:
    """The like classifier beside standard classifiers, and the majority."""
    for name in LIKE_MODELS:
        figures = []
        for one, params in ((trial.published, get_model_class(name).presets.get("paper")), (trial.honest, None)):
            model: Any = one.fitted(name, params)
            judged = one.test.rated
            said = model.like_probabilities(judged.users, judged.items) >= 0.5
            commoner = liked(one.data.train.rated.ratings, one).mean() >= 0.5
            figures.append((classified(said, one), classified(np.full(len(judged), commoner), one)))
        yield from trial.rows(name, "majority", figures[0], figures[1])


def liked(ratings: NDArray[np.float32], experiment: Experiment) -> NDArray[np.bool_]:
    """Return (n,) whether each rating is a like."""
    return ratings >= experiment.data.like_threshold


def classified(said: NDArray[np.bool_], experiment: Experiment) -> Figures:
    """Return accuracy, precision and recall of what is said to be liked of the rated test pairs, where defined."""
    truth = liked(experiment.test.rated.ratings, experiment)
    hits = float(np.count_nonzero(said & truth))
    figures = {"accuracy": float(np.mean(said == truth))}
    figures |= {"precision": hits / np.count_nonzero(said)} if said.any() else {}
    return figures | ({"recall": hits / np.count_nonzero(truth)} if truth.any() else {})


def paper_002(trial: Trial) -> Iterator[PaperRow]:
    """The networks, the stacks and ALS where the domain is the paper's, and the BiLSTM wherever there are times."""
    if trial.domain == "anime":
        yield from _explicit(trial)
    yield from _implicit(trial)


def _explicit(trial: Trial) -> Iterator[PaperRow]:
    """Networks that stop early on the ratings that judge them, stacked by what they say of those they learnt from."""
    members = STACKS[0]
    presets = {name: get_model_class(name).presets["paper"] for name in members}
    peeking = trial.published.on(validation=trial.published.test)
    ours = member_ratings(peeking, members, presets, outside=False)
    fair = member_ratings(trial.honest, members)
    for column, name in enumerate(members):
        yield from trial.errors(name, ("rmse",), ours.of_test[:, column], fair.of_test[:, column])
    for name, alpha in (("stack_linear", 0.0), ("stack_ridge", RIDGE_ALPHA)):
        published = ours.stacked(ours.inside, trial.published.data.scale, alpha)
        honest = fair.stacked(fair.outside, trial.honest.data.scale, alpha)
        yield from trial.errors(name, ("rmse",), published, honest)
    spark = said_by(trial.published, "als", get_model_class("als").presets["spark"])
    yield from trial.errors("als", ("rmse",), spark, said_by(trial.honest, "als"))


def _implicit(trial: Trial) -> Iterator[PaperRow]:
    """Sequences of 18 titles, some of whose last is to be told; once more from histories in random order."""
    published = sequences(trial.published, SEQUENCES_HELD_OUT)
    if published is None:
        announce(f"paper 002: {trial.published.dataset} has no times, so that there are no sequences to learn from")
        return
    upcoming = next_titles(trial.honest)
    popular = figures_told(published, "popularity")
    fair_popular = {} if upcoming is None else figures_told(upcoming, "popularity")
    for shuffled in (False, True):
        params = get_model_class("bilstm").presets["paper"].model_copy(update={"shuffle_order": shuffled})
        stopped = published.on(validation=published.test)
        model = stopped.fitted("bilstm", params)
        figures = {str(key): score.value for key, score in next_item_scores(published, model).items()}
        fair = {}
        if upcoming is not None:
            fair = figures_told(upcoming, "bilstm", parameters("bilstm", shuffle_order=shuffled))
        system = "bilstm (shuffled order)" if shuffled else "bilstm"
        yield from trial.rows(system, "popularity", (figures, popular), (fair, fair_popular), published)
        if not shuffled:
            loss = {"cross_entropy": min(model.history_["val_loss"])}
            uniform = {"cross_entropy": float(np.log(published.data.n_items))}
            yield from trial.rows(system, "uniform", (loss, uniform), counted=published)


def figures_told(experiment: Experiment, name: str, params: Params | None = None) -> Figures:
    """Return how well the model finds the item of each test pair."""
    scores = next_item_scores(experiment, experiment.fitted(name, params))
    return {str(key): score.value for key, score in scores.items()}


def paper_003(trial: Trial) -> Iterator[PaperRow]:
    """The two towers on inputs made of all ratings, those to be predicted among them, and of genres by substring."""
    paper = get_model_class("two_tower").presets["paper"]
    leaky = trial.published.on(
        validation=trial.published.test, item_features=substring_genres(trial.published.data.item_features)
    )
    published = said_by(leaky, LEAKY_TWO_TOWER, parameters(LEAKY_TWO_TOWER, **paper.model_dump()))
    honest = said_by(trial.honest, "two_tower")
    yield from trial.errors("two_tower", ("mse_scaled", "rmse"), published, honest)


def paper_004(trial: Trial) -> Iterator[PaperRow | PaperConfusion]:
    """The MLP with dropout, a watch without a rating being a rating of -1; once more on equally frequent ratings."""
    data, presets = trial.published.data, get_model_class("dropout_mlp").presets
    averaged = trial.published.on(
        minus_one_for_none(trial.published.test), train=minus_one_for_none(data.train), scale=(-1.0, data.scale[1])
    )
    averaging = Trial(trial.paper, trial.domain, averaged, trial.honest)
    honest = said_by(trial.honest, "dropout_mlp")
    yield from confused("dropout_mlp (honest)", trial.honest, honest)
    for system, preset in (("dropout_mlp", "paper"), ("dropout_mlp (balanced)", "paper-balanced")):
        published = said_by(averaged, "dropout_mlp", presets[preset])
        yield from averaging.errors(system, ("rmse",), published, honest)
        yield from confused(system, averaged, published)


def confused(system: str, experiment: Experiment, said: NDArray[np.float32]) -> Iterator[PaperConfusion]:
    """Give the confusion matrix of the predictions, rounded, of the rated test pairs."""
    pairs = np.column_stack([experiment.test.rated.ratings, np.rint(said)]).astype(np.int64)
    for (rating, predicted), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
        yield PaperConfusion("004", system, experiment.dataset, int(rating), int(predicted), int(count))


PAPERS: dict[str, Callable[[Trial], Iterator[PaperRow | PaperConfusion]]] = {
    "000": paper_000,
    "001": paper_001,
    "002": paper_002,
    "003": paper_003,
    "004": paper_004,
}
"""By number, what gives the rows of a paper."""
