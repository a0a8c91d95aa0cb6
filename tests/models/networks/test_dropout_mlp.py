import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.models.networks.dropout_mlp import DropoutMlp, DropoutMlpParams, equally_frequent


def pairs_rated(ratings: list[float]) -> Interactions:
    positions = np.arange(len(ratings), dtype=np.int32)
    return Interactions(positions, positions, np.array(ratings, dtype=np.float32))


def test_the_network_is_the_papers_to_the_parameter() -> None:
    network = DropoutMlp().build_network(73_515, 34_367)
    assert network.count_params() == 10_822_249
    shapes = [tuple(weight.shape) for weight in network.weights]
    assert shapes == [(73_515, 100), (34_367, 100), (200, 128), (128,), (128, 64), (64,), (64, 1), (1,)]
    assert {layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"} == {0.1}


def test_it_has_an_embedding_for_each_user_and_item_whatever_their_ids(fitted, data) -> None:
    model = fitted("dropout_mlp")
    assert model.users_.shape == (data.n_users, 100)
    assert model.items_.shape == (data.n_items, 100)


def test_the_presets_are_as_published() -> None:
    for preset, balanced in {"paper": False, "paper_balanced": True}.items():
        params = DropoutMlp.presets[preset]
        assert (params.dropout, params.patience, params.equal_frequencies) == (0.1, None, balanced)
        assert (params.start_at_mean, params.popularity_weight) == (False, 0)


def test_the_rarest_rating_decides_how_many_there_are_of_each() -> None:
    chosen = equally_frequent(pairs_rated([5, 5, 5, 1, 5, 3, 3, 1, 3]), seed=1)
    assert sorted(chosen.ratings) == [1, 1, 3, 3, 5, 5]
    assert (np.diff(chosen.users) > 0).all(), "the order stays"


@given(st.lists(st.sampled_from([1.0, 2.5, 7.0, 10.0]), min_size=1, max_size=60), st.integers(0, 5))
def test_every_rating_is_as_frequent_as_any_other(ratings: list[float], seed: int) -> None:
    rated = pairs_rated(ratings)
    chosen = equally_frequent(rated, seed)
    values, counts = np.unique(chosen.ratings, return_counts=True)
    assert set(values) == set(ratings)
    assert (counts == min(ratings.count(value) for value in ratings)).all()
    np.testing.assert_array_equal(chosen.ratings, rated.ratings[chosen.users])
    assert len(set(chosen.users)) == len(chosen)


def test_which_ratings_are_kept_is_chance() -> None:
    rated = pairs_rated([1.0] * 3 + [2.0] * 40)
    kept = {tuple(equally_frequent(rated, seed).users) for seed in range(5)}
    assert len(kept) == 5


def test_equally_frequent_ratings_pull_predictions_to_the_middle(data: TrainingData) -> None:
    quick = {"batch_size": 50, "epochs": 4}
    usual = DropoutMlp(DropoutMlpParams(**quick)).fit(data)
    balanced = DropoutMlp(DropoutMlpParams(**quick, equal_frequencies=True)).fit(data)
    middle = np.mean(data.scale)
    users, items = data.validation.users, data.validation.items
    means = [np.mean(model.predict(users, items)) for model in (usual, balanced)]
    assert np.mean(data.train.rated.ratings) > middle + 0.5
    assert abs(means[1] - middle) < abs(means[0] - middle)


def test_a_rare_rating_leaves_most_users_untrained_and_average(data: TrainingData) -> None:
    balanced = DropoutMlp(DropoutMlpParams(epochs=1, equal_frequencies=True)).fit(data)
    rated = equally_frequent(data.train.rated, balanced.seed)
    untrained = np.setdiff1d(np.arange(data.n_users), rated.users)
    assert len(untrained)
    vectors = balanced.users_[untrained]
    np.testing.assert_allclose(vectors, np.broadcast_to(vectors[0], vectors.shape))
    assert vectors[0] == pytest.approx(balanced.users_[np.unique(rated.users)].mean(axis=0), abs=1e-6)
