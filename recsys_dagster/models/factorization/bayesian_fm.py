"""Predict ratings by a Bayesian factorisation machine over histories and item features.

Rendle, Zhang and Koren 2019, "On the Difficulty of Evaluating Baselines", show that such a machine, with weights drawn
by Gibbs sampling, predicts better than most methods that were published after it.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from recsys_dagster.data.items import ItemFeatures
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.budget import FLOPS, Estimate, Size
from recsys_dagster.models.capabilities import FactoredScores, ScoreFactors
from recsys_dagster.models.ensembles.ensemble import REHEARSAL
from recsys_dagster.models.factorization.factors import pair_products, rating_factors
from recsys_dagster.models.params import Params
from recsys_dagster.models.rating import RatingModel, RatingParams
from recsys_dagster.runtime.progress import progress_bar

INITIAL_DEVIATION = 0.1
"""Standard deviation of the initial weights."""


class BayesianFmParams(RatingParams):
    """Parameters of the Bayesian factorisation machine; its regularisation is sampled, not chosen."""

    ranks: list[int] = Field(
        [8, 16, 32],
        min_length=1,
        description="Number of factors of each feature, for each chain; chains of different rank err differently.",
    )
    draws: int = Field(60, ge=1, description="Number of draws of each chain; a prediction is the mean over all draws.")
    burn_in: int = Field(10, ge=0, description="Number of draws that are discarded at the start of each chain.")
    kept_factors: int = Field(
        128, ge=1, description="Length of the user and item vectors that represent the mean of all draws."
    )


@dataclass(frozen=True)
class Side:
    """What users, or items, contribute to a score: biases (n,) and vectors (n, width)."""

    biases: NDArray[Any]
    factors: NDArray[Any]


class BayesianFm(FactoredScores, RatingModel):
    """Factorisation machine by Gibbs sampling, over histories and item features (Rendle et al. 2019).

    ŷ = w₀ + Σ wⱼxⱼ + Σ_{j<l} ⟨vⱼ, vₗ⟩xⱼxₗ over the features x of a user and of an item, the mean over the draws.

    The features of a user are the user's identity and items in the training fold. Those of an item are its identity,
    its users, genres, kind and year. Each element of a set of n counts 1/√n. Each family of features has its own prior.

    No feature depends on both sides. A draw is therefore a bias per side and an inner product of two vectors (see
    `side_of`), and so is the mean of all draws, with vectors as long as those of all draws together. The
    model keeps an approximation of length `kept_factors`, nearly the best in least squares over all pairs. It is
    updated while drawing, so that memory, disk and the time of a prediction do not grow with the number of draws. What
    is lost is mostly the noise of single draws, and with it the uncertainty of a prediction.

    A chain stays near the mode that it finds first. Several chains, of different rank, are therefore better than a
    single long one.

    Attributes:
        mean_, deviation_: of the training ratings; the machine learns standardised ratings.
        user_biases_, item_biases_: (n_users,) and (n_items,) float32, of standardised ratings; those of users include
            w₀.
        user_factors_, item_factors_: (n_users, n_kept) and (n_items, n_kept) float32, of standardised ratings.
        history_: `noise`, the sampled deviation of ratings around their predictions, for each draw of each chain;
            `rmse` of the mean of the draws so far on the validation fold, if there is one.
    """

    name = "bayesian_fm"
    kinds = ("myfm",)
    params_type = BayesianFmParams
    params: BayesianFmParams
    presets: ClassVar[Mapping[str, Params]] = {REHEARSAL: BayesianFmParams(ranks=[16], draws=30)}

    mean_: float
    deviation_: float
    user_biases_: NDArray[np.float32]
    item_biases_: NDArray[np.float32]
    user_factors_: NDArray[np.float32]
    item_factors_: NDArray[np.float32]

    def estimate(self, size: Size) -> Estimate:
        """Estimate a fit and an evaluation: each draw goes through all pairs once for each factor."""
        draws = self.params.draws + self.params.burn_in
        kept = self.params.kept_factors
        return Estimate.of_work(
            size,
            fit=40 + 0.2e-6 * draws * sum(self.params.ranks) * size.pairs,
            score=2 * kept / FLOPS,
            memory=100 * size.pairs + 16 * kept * (size.users + size.items),
        )

    def _fit(self, data: TrainingData) -> None:
        rated, held_out = data.train.rated, data.validation.rated
        if len(rated) == 0:
            raise RecsysError(f"{self.name}: the training fold has interactions, but no ratings")
        self.mean_ = float(rated.ratings.mean(dtype=np.float64))
        self.deviation_ = float(rated.ratings.std(dtype=np.float64)) or 1.0
        user_families = [sp.eye_array(self.n_users_), unit_rows(self.seen_)]
        item_families = [
            sp.eye_array(self.n_items_),
            unit_rows(self.seen_.T.tocsr()),
            *item_feature_families(data.item_features),
        ]
        families = [*user_families, *item_families]
        groups = [group for group, family in enumerate(families) for _ in range(family.shape[1])]
        users, items = (sp.hstack(side, "csr", dtype=np.float64) for side in (user_families, item_families))
        posterior = PosteriorMean(self.n_users_, self.n_items_, self.params.kept_factors)
        held_out_sums = np.zeros(len(held_out))
        self.history_ = {"noise": []}

        def keep(iteration: int, machine: Any, hyper: Any, _: Any) -> bool:
            advance(1)
            self.history_["noise"].append(self.deviation_ / float(hyper.alpha) ** 0.5)
            if iteration >= self.params.burn_in:
                linear, factors = np.asarray(machine.w), np.asarray(machine.V)
                user_side = side_of(users, linear[: users.shape[1]], factors[: users.shape[1]])
                item_side = side_of(items, linear[users.shape[1] :], factors[users.shape[1] :])
                posterior.add(float(machine.w0), user_side, item_side)
                if len(held_out):
                    held_out_sums[:] += machine.w0 + pair_scores(user_side, item_side, held_out.users, held_out.items)
                    error = self._on_scale(held_out_sums / posterior.draws) - held_out.ratings
                    self.history_.setdefault("rmse", []).append(float(np.sqrt(np.mean(error**2))))
            return False

        import_myfm()
        from myfm import RelationBlock
        from myfm._myfm import create_train_fm

        blocks = [RelationBlock(rated.users, sp.csr_matrix(users)), RelationBlock(rated.items, sp.csr_matrix(items))]
        targets = (rated.ratings.astype(np.float64) - self.mean_) / self.deviation_
        main = sp.csr_matrix((len(rated), 0), dtype=np.float64)
        ranks, iterations = self.params.ranks, self.params.burn_in + self.params.draws
        with progress_bar(self.name, len(ranks) * iterations) as advance:
            for rank, seed in zip(ranks, np.random.SeedSequence(self.seed).generate_state(len(ranks)), strict=True):
                config = sampler_config(iterations, groups)
                create_train_fm(rank, INITIAL_DEVIATION, main, blocks, targets, int(seed) % 2**31, config, keep)
        user_mean, item_mean = posterior.mean()
        self.user_biases_, self.user_factors_ = (
            user_mean.biases.astype(np.float32),
            user_mean.factors.astype(np.float32),
        )
        self.item_biases_, self.item_factors_ = (
            item_mean.biases.astype(np.float32),
            item_mean.factors.astype(np.float32),
        )

    def _on_scale(self, standardised: NDArray[Any]) -> NDArray[Any]:
        return np.clip(self.mean_ + self.deviation_ * standardised, *self.scale_)

    def _predict(self, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        user_side = Side(self.user_biases_, self.user_factors_)
        item_side = Side(self.item_biases_, self.item_factors_)
        ratings: NDArray[Any] = self.mean_ + self.deviation_ * pair_scores(user_side, item_side, users, items)
        return ratings

    def factored_scores(self) -> ScoreFactors:
        """Return the factors with biases and popularity; see `FactoredScores`."""
        users = np.column_stack([self.user_biases_, self.user_factors_])
        items = np.column_stack([self.item_biases_, self.item_factors_])
        return rating_factors(self, self.mean_, self.deviation_, users, items)

    def _ratings(self, users: NDArray[np.int32]) -> NDArray[np.float32]:
        scores = self.user_factors_[users] @ self.item_factors_.T
        scores += self.user_biases_[users, None] + self.item_biases_
        ratings: NDArray[np.float32] = self.mean_ + self.deviation_ * scores
        return ratings


class PosteriorMean:
    """The running mean of draws, each a bias per side and an inner product of the vectors of the two sides.

    The sum of the products is UVᵀ, where the vectors of all draws are the columns of U and V. When there are twice as
    many columns as are kept, they are replaced by the leading singular vectors of UVᵀ. With U = Q_u R_u and
    V = Q_v R_v, these follow from those of the small matrix R_u R_vᵀ.

    Args:
        n_users, n_items: sizes of the sides.
        kept_factors: number of columns that are kept.
    """

    def __init__(self, n_users: int, n_items: int, kept_factors: int) -> None:
        self.draws = 0
        self._kept = kept_factors
        self._biases = np.zeros(n_users), np.zeros(n_items)
        self._users = [np.zeros((n_users, 0))]
        self._items = [np.zeros((n_items, 0))]

    def add(self, constant: float, users: Side, items: Side) -> None:
        """Add a draw whose w₀ is `constant`."""
        self.draws += 1
        self._biases[0][:] += constant + users.biases
        self._biases[1][:] += items.biases
        self._users.append(users.factors)
        self._items.append(items.factors)
        if sum(part.shape[1] for part in self._users) >= 2 * self._kept:
            self._compress()

    def mean(self) -> tuple[Side, Side]:
        """Return the users' and the items' side of the mean, float64, with vectors no longer than `kept_factors`."""
        self._compress()
        share = self.draws**-0.5
        return (
            Side(self._biases[0] / self.draws, share * self._users[0]),
            Side(self._biases[1] / self.draws, share * self._items[0]),
        )

    def _compress(self) -> None:
        users, user_core = np.linalg.qr(np.hstack(self._users))
        items, item_core = np.linalg.qr(np.hstack(self._items))
        left, values, right = np.linalg.svd(user_core @ item_core.T)
        kept = min(self._kept, len(values))
        root = np.sqrt(values[:kept])
        self._users = [users @ (left[:, :kept] * root)]
        self._items = [items @ (right[:kept].T * root)]


def side_of(features: sp.csr_array, linear: NDArray[np.float64], factors: NDArray[np.float64]) -> Side:
    """Return what one side of a factorisation machine contributes to its scores.

    With p = Σ vⱼxⱼ over the features of the side, the bias is Σ wⱼxⱼ + ½(‖p‖² − Σ ‖vⱼ‖²xⱼ²), which includes all pairs
    of features of this side (Rendle 2010, "Factorization Machines", lemma 3.1). Pairs across sides give ⟨p, p'⟩.

    Args:
        features: (n, n_features).
        linear: (n_features,), w.
        factors: (n_features, rank), V.
    """
    vectors = features @ factors
    squares = features.power(2) @ (factors**2).sum(axis=1)
    return Side(features @ linear + ((vectors**2).sum(axis=1) - squares) / 2, vectors)


def pair_scores(user_side: Side, item_side: Side, users: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[Any]:
    """Return the (n,) scores of the pairs (users[i], items[i]): biases plus inner product."""
    scores = pair_products(user_side.factors, item_side.factors, users, items)
    scores += user_side.biases[users] + item_side.biases[items]
    return scores


def unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    """Return a matrix of ones with each row scaled to length 1, so that each of n entries is 1/√n."""
    entries = np.diff(matrix.indptr)
    return sp.csr_array(sp.diags_array(np.maximum(entries, 1) ** -0.5) @ matrix)


def item_feature_families(features: ItemFeatures) -> list[sp.csr_array]:
    """Return genres, kind and year as (n_items, width) matrices, with a row of zeros for an unknown value.

    A family with a single column says nothing and is omitted.
    """
    known = ~np.isnan(features.years)
    years, positions = np.unique(features.years[known], return_inverse=True)
    year_of = np.full(len(features.years), -1)
    year_of[known] = positions
    kinds = one_hot(features.kinds, len(features.kind_names))
    families = [unit_rows(features.genres), kinds, one_hot(year_of, len(years))]
    return [family for family in families if family.shape[1] > 1]


def one_hot(positions: NDArray[Any], width: int) -> sp.csr_array:
    """Return the (n, width) CSR with a one at the position of each row; a row with the position -1 is empty."""
    rows = np.flatnonzero(positions >= 0)
    return sp.csr_array((np.ones(len(rows)), (rows, positions[rows])), shape=(len(positions), width))


def import_myfm() -> None:
    """Import myFM without its warning about pkg_resources; it takes a second, because it imports pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        import_module("myfm")


def sampler_config(iterations: int, groups: list[int]) -> Any:
    """Return the configuration of myFM: default hyperpriors, a prior for each group of features, and no draw kept."""
    from myfm._myfm import ConfigBuilder, TaskType

    builder = ConfigBuilder()
    builder.set_alpha_0(1.0)
    builder.set_beta_0(1.0)
    builder.set_gamma_0(1.0)
    builder.set_mu_0(0.0)
    builder.set_reg_0(1.0)
    builder.set_fit_w0(True)
    builder.set_fit_linear(True)
    builder.set_task_type(TaskType.REGRESSION)
    builder.set_n_iter(iterations)
    builder.set_n_kept_samples(0)
    builder.set_group_index(groups)
    return builder.build()
