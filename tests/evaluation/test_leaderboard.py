import numpy as np
import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.leaderboard import Leaderboard, build_leaderboard, choose_champion
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.evaluation.verdicts import champion_verdicts, verdicts
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.models.attempt import Outcome, State


def metric(model, value, name="ndcg", k=10, fold="validation", protocol="holdout"):
    return MetricRow(model, "v1", protocol, fold, name, k, value, value - 0.01, value + 0.01, 100)


def rmse(model, value):
    return metric(model, value, "rmse", None, "test")


BASELINES = [metric("popularity", 0.2), metric("user_item_bias", 0.1)]


def per_user(ndcg, squared_error=None):
    columns = {"user_idx": np.arange(len(ndcg)), "ndcg_10": np.asarray(ndcg, float)}
    if squared_error is not None:
        columns |= {"pairs": np.ones(len(ndcg)), "squared_error": np.asarray(squared_error, float)}
    return columns


def test_the_highest_validation_ndcg_is_the_champion():
    test_only = metric("bpr", 0.9, fold="test")
    other_protocol = metric("bpr", 0.9, protocol="random")
    other_metric = metric("bpr", 0.9, "recall")
    longer = metric("bpr", 0.9, k=20)
    rows = [*BASELINES, metric("ease", 0.3), test_only, other_protocol, other_metric, longer]
    assert choose_champion(rows) == "ease"
    assert choose_champion(BASELINES) == "popularity"


def test_of_equal_models_the_simpler_one_is_the_champion():
    assert (
        choose_champion([metric("als", 0.2), metric("user_item_bias", 0.2), metric("popularity", 0.2)]) == "popularity"
    )
    equals = [metric("popularity", 0.1), metric("ease", 0.2), metric("bpr", 0.2)]
    assert choose_champion(equals) == choose_champion(equals[::-1]) == "bpr"


def test_a_model_whose_value_is_not_a_number_cannot_be_champion():
    assert choose_champion([*BASELINES, metric("broken", float("nan"))]) == "popularity"
    board = build_leaderboard([*BASELINES, metric("broken", float("nan"))], seed=0)
    assert [row.model for row in board.rows] == ["popularity", "user_item_bias", "broken"]


def test_no_choice_is_made_without_popularity_and_no_leaderboard_without_both_baselines():
    with pytest.raises(RecsysError, match="run evaluation/popularity first"):
        choose_champion([metric("ease", 0.3)])
    with pytest.raises(RecsysError, match="run evaluation/user_item_bias first"):
        build_leaderboard([metric("ease", 0.3), metric("popularity", 0.2)], seed=0)


def test_rows_are_ordered_by_validation_and_show_test_and_the_constant_comes_last():
    rows = [
        rmse("constant", 1.0),
        *BASELINES,
        metric("ease", 0.3),
        metric("ease", 0.1, fold="test"),
        metric("popularity", 0.2, fold="test"),
    ]
    board = build_leaderboard(rows, seed=0)
    assert [(row.rank, row.model) for row in board.rows] == [
        (1, "ease"),
        (2, "popularity"),
        (3, "user_item_bias"),
        (4, "constant"),
    ]
    assert board.leader == "ease"
    first, *_, last = board.records()
    assert first["validation_ndcg_10"] == 0.3
    assert (first["ndcg_10"], first["ndcg_10_low"], first["ndcg_10_high"]) == pytest.approx((0.1, 0.09, 0.11))
    assert first["leader"]
    assert first["rmse"] is None
    assert first["distinguishable"] is None
    assert last["validation_ndcg_10"] is None
    assert last["rmse"] == 1.0
    assert first.keys() == last.keys()


def test_the_verdict_states_that_a_model_does_not_beat_the_damped_bias():
    rows = [*BASELINES, rmse("embedding_mlp", 0.912), rmse("user_item_bias", 0.898), rmse("constant", 1.05)]
    assert verdicts(build_leaderboard(rows, seed=0)) == [
        "popularity is the best on validation: NDCG@10 0.200 (95 % 0.190 to 0.210) on validation.",
        "embedding_mlp does not beat the damped bias: RMSE 0.912 against 0.898.",
        "the damped bias beats the constant: RMSE 0.898 against 1.050.",
    ]


def test_a_higher_ndcg_beats_and_an_equal_one_does_not():
    rows = [
        *BASELINES,
        metric("popularity", 0.2, fold="test"),
        metric("user_item_bias", 0.2, fold="test"),
        metric("ease", 0.3, fold="test"),
    ]
    sentences = verdicts(build_leaderboard(rows, seed=0))
    assert "the damped bias does not beat popularity: NDCG@10 0.200 against 0.200." in sentences
    assert "ease beats popularity: NDCG@10 0.300 against 0.200." in sentences


def test_models_that_are_not_distinguishable_from_the_champion_are_named():
    generator = np.random.default_rng(0)
    base, noise = generator.random((2, 300))
    best = base + 0.2
    rows = [*BASELINES, metric("ease", 0.4), metric("edlae", 0.39)]
    rows += [metric(name, value, fold="test") for name, value in [("ease", 0.7), ("edlae", 0.7), ("popularity", 0.5)]]
    results = {
        "ease": per_user(best),
        "edlae": per_user(best + (noise - noise.mean()) / 10),
        "popularity": per_user(base),
    }
    board = build_leaderboard(rows, results, seed=0)
    assert {row.model: row.distinguishable for row in board.rows} == {
        "ease": None,
        "edlae": False,
        "popularity": True,
        "user_item_bias": None,
    }
    sentences = verdicts(board)
    assert "Not distinguishable from ease on test: edlae." in sentences
    assert (
        "ease beats popularity: NDCG@10 0.700 against 0.500 (difference +0.2000, 95 % +0.2000 to +0.2000)." in sentences
    )


def test_a_lead_that_may_be_chance_is_called_that():
    generator = np.random.default_rng(1)
    bias, model = generator.exponential(1, (2, 50))
    model *= 0.99 * bias.sum() / model.sum()
    rows = [*BASELINES, rmse("user_item_bias", np.sqrt(bias.mean())), rmse("als", np.sqrt(model.mean()))]
    results = {"user_item_bias": per_user(bias, bias), "als": per_user(model, model)}
    *_, sentence = verdicts(build_leaderboard(rows, results, seed=0))
    assert sentence.startswith("als beats the damped bias: RMSE")
    assert sentence.endswith("which may be chance after Holm's correction.")


def test_results_over_different_users_are_not_compared():
    rows = [*BASELINES, metric("ease", 0.4)]
    results = {"ease": per_user([1, 0, 1]), "popularity": per_user([1, 0])}
    with pytest.raises(RecsysError, match="evaluated on different users"):
        build_leaderboard(rows, results, seed=0)
    results["popularity"] = per_user([1, 0, np.nan])
    with pytest.raises(RecsysError, match="evaluated on different users"):
        build_leaderboard(rows, results, seed=0)


def three_models():
    """Two that are alike and one that is worse, with their per-user results."""
    generator = np.random.default_rng(0)
    base, noise = generator.random((2, 300))
    rows = [*BASELINES, metric("ease", 0.4), metric("edlae", 0.39)]
    rows += [metric(name, value, fold="test") for name, value in [("ease", 0.69), ("edlae", 0.7), ("popularity", 0.5)]]
    results = {
        "ease": per_user(base + 0.2),
        "edlae": per_user(base + 0.2 + (noise - noise.mean()) / 10),
        "popularity": per_user(base),
    }
    return rows, results


def test_each_two_models_are_compared_on_the_test_fold():
    board = build_leaderboard(*three_models(), seed=0)
    assert board.leader == "ease", "validation chooses"
    assert [(pair.model, pair.other) for pair in board.pairs] == [
        ("ease", "edlae"), ("ease", "popularity"), ("edlae", "popularity"),
    ]  # fmt: skip


def test_a_leaderboard_comes_back_from_its_file_as_it_was(tmp_path):
    missing = [Outcome("bpr", State.FAILED, "the memory did not suffice", 1.0, "abc")]
    rows, results = three_models()
    same_list = metric("popularity", 1.0, "overlap", fold="test")
    board = build_leaderboard([*rows, same_list], results, missing=missing, seed=0)
    board.write(tmp_path / "movie" / "leaderboard.json")
    back = Leaderboard.read(tmp_path / "movie" / "leaderboard.json")
    assert back == board
    assert verdicts(back) == verdicts(board)
    with pytest.raises(RecsysError, match="there is no leaderboard yet; materialise evaluation/leaderboard"):
        Leaderboard.read(tmp_path / "anime" / "leaderboard.json")
    (tmp_path / "old.json").write_text('{"rows": [{"model": "ease"}]}')
    with pytest.raises(RecsysError, match="not a leaderboard of this version"):
        Leaderboard.read(tmp_path / "old.json")


def test_failed_models_and_those_that_treat_all_users_alike_have_diagnostics():
    missing = [Outcome("bpr", State.FAILED, "the memory did not suffice", 1.0, "abc")]
    rows, results = three_models()
    alike = [metric("popularity", 1.0, "overlap", fold="test"), metric("ease", 0.96, "overlap", fold="test")]
    constant = metric("edlae", 0.0, "prediction_std", None, fold="test")
    board = build_leaderboard([*rows, *alike, constant], results, missing=missing, seed=0)
    assert {record["model"]: record["diagnostics"] for record in board.records()} == {
        "ease": "recommends nearly the same list to all users (96% of the items in common)",
        "edlae": "predicts the same rating for every pair",
        "popularity": "recommends the same list to all users",
        "user_item_bias": None,
        "bpr": "failed: the memory did not suffice",
    }
    assert "popularity recommends the same list to all users." in verdicts(board)


def decision(model, **changes):
    values = {"model": model, "version": "v1", "reason": "because", "by": "gate", "metrics": {}}
    return Decision("2026-01-02T03:04:05+00:00", previous_model=None, previous_version=None, **values | changes)


def contested():
    """Return a leaderboard that ease leads on validation; edlae and leaky are better on test."""
    rows = [*BASELINES, metric("ease", 0.4), metric("edlae", 0.39), metric("leaky", 0.3)]
    test = {"ease": 0.3, "edlae": 0.35, "leaky": 0.95, "popularity": 0.2}
    return build_leaderboard([*rows, *(metric(name, value, fold="test") for name, value in test.items())], seed=0)


def test_the_champion_is_the_one_of_the_gate_and_what_is_better_on_test_is_explained():
    objections = {"ease": "its coverage is worse", "edlae": "its NDCG@10 is not surely better"}
    sentences = champion_verdicts(contested(), decision("popularity", objections=objections))
    assert sentences[:2] == [
        "popularity is the champion: NDCG@10 0.200 (95 % 0.190 to 0.210) on validation, "
        "NDCG@10 0.200 (95 % 0.190 to 0.210) on test.",
        "It was chosen by the gate (because), which goes by the NDCG@10 of 100 users of validation.",
    ]
    assert sentences[2].startswith(
        "leaky is better on test: NDCG@10 0.950 against 0.200. It was not taken: it may have seen the test fold"
    )
    assert sentences[3:] == [
        "edlae is better on test: NDCG@10 0.350 against 0.200. It was not taken: on validation, its NDCG@10 is not "
        "surely better.",
        "ease is better on test: NDCG@10 0.300 against 0.200. It was not taken: on validation, its coverage is worse.",
    ]


def test_a_first_choice_and_a_choice_by_hand_are_explained_too():
    _, _, leaky, edlae = champion_verdicts(contested(), decision("ease"))
    assert "may have seen the test fold" in leaky
    assert edlae.endswith("It was not taken: the choice is made on validation, where it has 0.390 against 0.400.")
    by_hand = champion_verdicts(contested(), decision("edlae", by="hand"))
    assert by_hand[1] == "It was chosen by hand (because)."
    assert not any("ease is better" in sentence for sentence in by_hand)
    assert champion_verdicts(contested(), decision("popularity", by="hand"))[3].endswith(
        "It was not taken: the champion was chosen by hand."
    )


def test_a_champion_whose_version_is_not_on_the_leaderboard_is_named_all_the_same():
    metrics = {"validation_ndcg_10": 0.298}
    assert champion_verdicts(contested(), decision("bpr", metrics=metrics)) == [
        "bpr v1 is the champion: NDCG@10 0.298 on validation. This version is not on the leaderboard.",
        "It was chosen by the gate (because).",
    ]
    other_version = champion_verdicts(contested(), decision("ease", version="v0"))
    assert other_version[0] == "ease v0 is the champion. This version is not on the leaderboard."
    assert not any("better on test" in sentence for sentence in other_version)


def test_frozen_lists_are_a_column_beside_those_that_decide(tmp_path):
    rows = [*BASELINES, metric("ease", 0.3), metric("ease", 0.28, fold="test"), metric("bpr", 0.25)]
    rows += [metric("ease", 0.26, fold="test", protocol="frozen"), metric("bpr", 0.9, protocol="frozen")]
    rows += [metric("bpr", 0, name="folded_in", k=None, fold="test")]
    board = build_leaderboard(rows, seed=0)
    board.write(tmp_path / "leaderboard.json")
    assert Leaderboard.read(tmp_path / "leaderboard.json") == board
    assert board.is_folded_in
    assert {record["model"]: record["frozen_ndcg_10"] for record in board.records()} == {
        "ease": 0.26,
        "bpr": None,  # 0.9 is of validation
        "popularity": None,
        "user_item_bias": None,
    }
    assert "bpr cannot fold in what users did since the training fold" in " ".join(verdicts(board))
    assert champion_verdicts(board, decision("ease"))[1].endswith(
        "goes by the NDCG@10 of 100 users of validation, with what each had done before their moment folded in."
    )
    assert not build_leaderboard(BASELINES, seed=0).is_folded_in


def test_differences_can_be_taken_from_any_model():
    generator = np.random.default_rng(0)
    base = generator.random(300)
    rows = [*BASELINES, metric("ease", 0.4)]
    board = build_leaderboard(rows, {"ease": per_user(base + 0.2), "popularity": per_user(base)}, seed=0)
    differences = {row.model: row.difference for row in board.compared_with("popularity").rows}
    assert differences["popularity"] is None
    assert differences["ease"].value == pytest.approx(0.2)
    assert {row.model: row.difference.value for row in board.rows if row.difference} == {
        "popularity": pytest.approx(-0.2)
    }


def test_the_smallest_difference_that_would_be_found_is_2_8_standard_errors_of_that_from_popularity():
    generator = np.random.default_rng(0)
    base, noise = generator.random((2, 300))
    results = {"ease": per_user(base + noise / 2), "popularity": per_user(base)}
    rows = [*BASELINES, metric("ease", 0.4)]
    rows += [metric(name, value, fold="test") for name, value in [("ease", 0.7), ("popularity", 0.5)]]
    board = build_leaderboard(rows, results, seed=0)
    found = 2.8 * (noise / 2).std() / np.sqrt(300)
    assert 0.022 < found < 0.025
    decide = "100 users of test decide: if ease and popularity truly differ by"
    sentence = f"{decide} {found:.3f}, four of five such folds show it."
    assert sentence in verdicts(board)
    assert sentence in champion_verdicts(board, decision("ease"))
    assert sentence in champion_verdicts(board, decision("popularity")), "of the first model that is compared with it"
