import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from split_files import TEST, TRAIN, write_pairs, write_titles

from recsys_dagster.data.split import Split
from recsys_dagster.evaluation.custom_split import ModelResult, evaluate_split
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.warehouse.split import load_split

LOG2_3 = np.log2(3)


def load(folder: Path, files: dict[str, list[tuple[int, int, float | None]]], titles: Path | None = None) -> Split:
    paths = {name: write_pairs(folder / f"{name}.parquet", rows) for name, rows in files.items()}
    return load_split(
        paths["train"],
        paths["test"],
        paths.get("fold_in"),
        titles,
        scale=(1, 5),
        like_threshold=4,
        scratch=folder,
    )


def read(path: Path) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def evaluate_models(folder: Path, split: Split, *names: str) -> Sequence[ModelResult]:
    return evaluate_split(split, names, folder / "out", seed=1)


@pytest.fixture
def known_users(tmp_path: Path) -> Split:
    return load(tmp_path, {"train": TRAIN, "test": TEST})


class TestKnownUsers:
    def test_lists_hold_the_items_of_the_training_part_that_a_user_does_not_have(
        self, tmp_path: Path, known_users: Split
    ) -> None:
        evaluate_models(tmp_path, known_users, "popularity")
        table = pq.read_table(tmp_path / "out/lists/popularity.parquet")
        assert {field.name: str(field.type) for field in table.schema} == {
            "user_id": "int64", "rank": "int32", "item_id": "int64", "score": "float",
        }  # fmt: skip
        assert read(tmp_path / "out/lists/popularity.parquet") == [
            (10, 1, 300, 1.0),
            (30, 1, 200, 2.0),
            (30, 2, 300, 1.0),
        ]

    def test_ranking_metrics_match_values_computed_by_hand(self, tmp_path: Path, known_users: Split) -> None:
        (popularity,) = evaluate_models(tmp_path, known_users, "popularity")
        # 10 likes 300, listed first, and 400, which no list can hold; 20 likes 400 and has no list; 30 likes 300,
        # listed second; 99 is not in the training part, so has no list and does not count.
        assert popularity.values == pytest.approx(
            {
                "capped_recall@20": (1 / 2 + 0 + 1) / 3,
                "capped_recall@50": (1 / 2 + 0 + 1) / 3,
                "ndcg@100": (1 / (1 + 1 / LOG2_3) + 0 + 1 / LOG2_3) / 3,
                "ndcg@10": (1 / (1 + 1 / LOG2_3) + 0 + 1 / LOG2_3) / 3,
            }
        )
        assert {metric.users for metric in popularity.metrics} == {3}
        assert not (tmp_path / "out/predictions/popularity.parquet").exists()

    def test_every_pair_of_the_test_is_predicted_in_the_order_of_the_test(
        self, tmp_path: Path, known_users: Split
    ) -> None:
        (bias,) = evaluate_models(tmp_path, known_users, "user_item_bias")
        table = pq.read_table(tmp_path / "out/predictions/user_item_bias.parquet")
        assert {field.name: str(field.type) for field in table.schema} == {
            "user_id": "int64", "item_id": "int64", "prediction": "float",
        }  # fmt: skip
        rows = read(tmp_path / "out/predictions/user_item_bias.parquet")
        assert [(user, item) for user, item, _ in rows] == [(user, item) for user, item, _ in TEST]
        predicted = {(user, item): value for user, item, value in rows}
        assert predicted[99, 400] == pytest.approx(3), "the mean, for a user and an item that are both unknown"
        assert predicted[99, 100] > predicted[99, 400] > predicted[30, 300]
        errors = np.array([predicted[user, item] - rating for user, item, rating in TEST if rating is not None])
        assert bias.values["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
        assert bias.values["mae"] == pytest.approx(np.abs(errors).mean())
        assert {metric.users for metric in bias.metrics if metric.metric == "rmse"} == {4}

    @pytest.mark.parametrize(
        ("test", "reason"),
        [
            ([(10, 300, 2), (99, 100, 3)], "no rating of the test reaches 4 (the highest of 2 is 3), so no item is"),
            ([(10, 300, 2), (99, 100, 5)], "no user with a relevant item in the test is in the training part"),
        ],
    )
    def test_a_test_without_a_list_to_evaluate_gives_rating_errors_only_and_says_why(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        test: list[tuple[int, int, float | None]],
        reason: str,
    ) -> None:
        split = load(tmp_path, {"train": TRAIN, "test": test})
        popularity, bias = evaluate_models(tmp_path, split, "popularity", "user_item_bias")
        assert popularity.values == {}
        assert set(bias.values) == {"rmse", "mae", "mse"}
        assert f"no ranking metrics: {reason}" in capsys.readouterr().err
        written = json.loads((tmp_path / "out/metrics.json").read_text())
        assert written["split"]["no_ranking_metrics"].startswith(reason)


@pytest.fixture
def new_users(tmp_path: Path) -> Split:
    return load(
        tmp_path,
        {
            "train": TRAIN,
            "fold_in": [(7, 100, 5), (7, 999, 4), (5, 200, 1)],
            "test": [(7, 300, 5), (5, 100, None), (8, 100, 2), (8, 200, 4)],
        },
    )


class TestNewUsers:
    def test_lists_of_new_users_exclude_their_history_and_nothing_else(self, tmp_path: Path, new_users: Split) -> None:
        (popularity,) = evaluate_models(tmp_path, new_users, "popularity")
        assert read(tmp_path / "out/lists/popularity.parquet") == [
            (5, 1, 100, 3.0),
            (5, 2, 300, 1.0),
            (7, 1, 200, 2.0),
            (7, 2, 300, 1.0),
            # Nothing is known of 8, who is served by popularity on the scale of tastes, log(1 + pairs).
            (8, 1, 100, pytest.approx(np.log(4))),
            (8, 2, 200, pytest.approx(np.log(3))),
            (8, 3, 300, pytest.approx(np.log(2))),
        ]
        # 5 likes 100, found first; 7 and 8 like 300 and 200, found second.
        assert popularity.values["ndcg@100"] == pytest.approx((1 + 2 / LOG2_3) / 3)
        assert popularity.values["capped_recall@20"] == 1
        assert not (tmp_path / "out/predictions").exists()

    def test_a_new_user_with_a_history_gets_a_list_by_it(self, tmp_path: Path, new_users: Split) -> None:
        evaluate_models(tmp_path, new_users, "user_item_bias")
        rows = read(tmp_path / "out/lists/user_item_bias.parquet")
        scores = {(user, item): score for user, _, item, score in rows}
        assert scores[7, 300] > scores[5, 300], "7 rates higher than 5"

    def test_a_model_that_cannot_serve_new_users_is_skipped_with_the_reason(
        self, tmp_path: Path, new_users: Split
    ) -> None:
        results = evaluate_models(tmp_path, new_users, "embedding_mlp", "popularity")
        assert [one.skipped for one in results] == ["cannot serve users who are not in the training part", None]
        written = json.loads((tmp_path / "out/metrics.json").read_text())
        assert written["skipped"] == {"embedding_mlp": "cannot serve users who are not in the training part"}
        assert list(written["models"]) == ["popularity"]

    def test_lists_are_full_and_ordered_and_exclude_the_history(self, tmp_path: Path) -> None:
        random = np.random.default_rng(3)
        users, items = np.nonzero(random.random((60, 180)) < np.linspace(0.05, 0.3, 180))
        pairs = [(int(user), int(item), 5.0) for user, item in zip(users, items, strict=True)]
        test = [(user, item, like) for user, item, like in pairs if user >= 40 and item % 5 == 0]
        split = load(
            tmp_path,
            {
                "train": [pair for pair in pairs if pair[0] < 40],
                "test": test,
                "fold_in": [pair for pair in pairs if pair[0] >= 40 and pair not in test],
            },
        )
        known = {pair[:2] for pair in pairs if pair[0] >= 40 and pair not in test}
        for one in evaluate_models(tmp_path, split, "ease", "item_knn"):
            assert one.skipped is None
            rows = read(tmp_path / f"out/lists/{one.model}.parquet")
            assert len({(user, item) for user, _, item, _ in rows}) == len(rows) == 20 * 100
            assert [rank for _, rank, _, _ in rows] == list(range(1, 101)) * 20
            assert not known & {(user, item) for user, _, item, _ in rows}
            scores = np.array([score for *_, score in rows]).reshape(20, 100)
            assert (np.diff(scores, axis=1) <= 0).all()
            assert 0 < one.values["ndcg@10"] < 1


def test_a_model_that_needs_genres_is_skipped_without_titles_and_evaluated_with_them(
    tmp_path: Path, known_users: Split
) -> None:
    (without,) = evaluate_models(tmp_path, known_users, "genre_similarity")
    assert without.skipped == "needs the genres of the items; give --titles"
    titles = write_titles(tmp_path / "titles.parquet", {100: ["Drama"], 200: ["Crime"], 300: ["Drama"]})
    split = load(tmp_path, {"train": TRAIN, "test": TEST}, titles)
    (with_titles,) = evaluate_models(tmp_path, split, "genre_similarity")
    assert with_titles.skipped is None


class Unlucky(Model):
    """Fails as a library would."""

    name = "unlucky"
    failure: Exception

    def _fit(self, _):
        raise self.failure

    def _scores(self, users):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(MemoryError(), "not enough memory"), (ValueError("no such shape"), "ValueError: no such shape")],
)
def test_a_model_that_fails_does_not_stop_the_others(
    tmp_path: Path, known_users: Split, monkeypatch: pytest.MonkeyPatch, failure: Exception, reason: str
) -> None:
    monkeypatch.setattr(Unlucky, "failure", failure, raising=False)
    monkeypatch.setattr(
        "recsys_dagster.evaluation.custom_split.get_model_class",
        lambda name: Unlucky if name == "unlucky" else get_model_class(name),
    )
    unlucky, popularity = evaluate_models(tmp_path, known_users, "unlucky", "popularity")
    assert unlucky.skipped == reason
    assert popularity.skipped is None


def test_a_model_that_refuses_gives_its_reason_and_leaves_no_results_of_an_earlier_run(tmp_path: Path) -> None:
    evaluate_models(tmp_path, load(tmp_path, {"train": TRAIN, "test": TEST}), "als")
    results = [tmp_path / "out" / folder / "als.parquet" for folder in ("predictions", "lists")]
    assert all(path.exists() for path in results)
    unrated = [(user, item, None) for user, item, _ in TRAIN]
    (als,) = evaluate_models(tmp_path, load(tmp_path, {"train": unrated, "test": TEST}), "als")
    assert als.skipped == "the training fold has interactions, but no ratings"
    assert not any(path.exists() for path in results)


def test_metrics_are_written_with_intervals_resource_usage_and_parameters(tmp_path: Path, known_users: Split) -> None:
    (bias,) = evaluate_models(tmp_path, known_users, "user_item_bias")
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    assert written["split"] == {
        "train_pairs": 6,
        "test_pairs": 7,
        "fold_in_pairs": None,
        "train_users": 3,
        "test_users": 4,
        "items": 4,
        "scale": [1, 5],
        "like_threshold": 4,
        "relevance": "positive",
        "no_ranking_metrics": None,
    }
    result = written["models"]["user_item_bias"]
    assert result["metrics"] == bias.values
    assert all(low <= result["metrics"][label] <= high for label, (low, high) in result["intervals"].items())
    assert result["params"]["item_damping"] == 3
    assert result["fit_seconds"] >= 0
    assert result["peak_memory_mb"] == round(bias.peak_megabytes, 1)


def test_equal_seeds_give_equal_results(tmp_path: Path, known_users: Split) -> None:
    (first,) = evaluate_split(known_users, ["als"], tmp_path / "first", seed=5)
    (second,) = evaluate_split(known_users, ["als"], tmp_path / "second", seed=5)
    assert first.metrics == second.metrics
    for folder in ("predictions", "lists"):
        assert read(tmp_path / f"first/{folder}/als.parquet") == read(tmp_path / f"second/{folder}/als.parquet")


def test_random_models_are_fitted_with_several_seeds_and_the_others_are_not(tmp_path: Path, known_users: Split) -> None:
    als, bias = evaluate_split(known_users, ["als", "user_item_bias"], tmp_path / "out", seed=5, seeds=3)
    assert len(als.by_seed) == 3
    assert als.by_seed[0] == als.values
    assert als.spread["rmse"] == pytest.approx(np.std([values["rmse"] for values in als.by_seed], ddof=1))
    assert als.spread["rmse"] > 0
    assert (bias.by_seed, bias.spread) == ([], {})
    written = json.loads((tmp_path / "out/metrics.json").read_text())["models"]
    assert written["als"]["spread"] == als.spread
    (alone,) = evaluate_split(known_users, ["als"], tmp_path / "alone", seed=6)
    assert als.by_seed[1] == alone.values
    assert sorted(path.name for path in (tmp_path / "out/lists").iterdir()) == ["als.parquet", "user_item_bias.parquet"]
