"""The gate, on per-user results with known differences."""

import numpy as np
import pytest

from recsys_dagster.errors import RecsysError
from recsys_dagster.evaluation.store import MetricRow
from recsys_dagster.lifecycle.gate import Candidate, GateResult, Tolerances, evaluate_challengers, least_active

USERS = 40
ACTIVITY = np.arange(1, USERS + 1)
TOLERANCES = Tolerances(coverage=0.5, rmse=0.05, least_active=0.1)
NOISE = np.tile([-0.02, 0.02], USERS // 2)


def candidate(
    model: str, ndcg: object, *, coverage: float = 0.2, rmse: float | None = None, version: str = "v"
) -> Candidate:
    values = np.broadcast_to(np.asarray(ndcg, dtype=float), USERS).copy()
    shown = {
        ("ndcg", 10): float(np.nanmean(values)) if not np.isnan(values).all() else np.nan,
        ("coverage", 10): coverage,
    }
    if rmse is not None:
        shown["rmse", None] = rmse
    rows = [
        MetricRow(model, version, "holdout", "validation", metric, k, value, None, None, USERS)
        for (metric, k), value in shown.items()
    ]
    return Candidate(model, version, rows, {"user_idx": np.arange(USERS), "known": ACTIVITY, "ndcg_10": values})


POPULARITY = candidate("popularity", 0.1)
CHAMPION = candidate("als", 0.2 + NOISE, rmse=0.9)


def decide(*challengers: Candidate, champion: Candidate = CHAMPION) -> GateResult:
    return evaluate_challengers(champion, [POPULARITY, *challengers], TOLERANCES, seed=1)


def test_a_challenger_that_is_surely_better_takes_over_and_the_reason_has_the_interval() -> None:
    result = decide(candidate("ease", 0.25 + NOISE))
    assert (result.model, result.version) == ("ease", "v")
    assert result.reason == (
        "ease beats als on validation by NDCG@10 +0.0500 (95 % +0.0500 to +0.0500), p = 0.0002 after Holm's correction "
        "for 2 challengers; popularity by +0.1500 (95 % +0.1440 to +0.1560); 2 guard metrics within their tolerances"
    )


def test_of_several_that_may_the_best_takes_over() -> None:
    assert decide(candidate("ease", 0.25), candidate("reranker", 0.3), candidate("bpr", 0.26)).model == "reranker"


def test_a_worse_challenger_is_refused_and_the_reason_says_why() -> None:
    result = decide(candidate("ease", 0.15))
    assert result.model == "als"
    assert result.reason.startswith("als stays; of ease, the best challenger: NDCG@10 -0.0500 (95 % ")
    assert [challenge.model for challenge in result.challenges] == ["ease", "popularity"]


def test_a_lead_that_may_be_chance_is_not_enough() -> None:
    one_lucky_user = np.full(USERS, 0.2)
    one_lucky_user[0] = 1.0
    result = decide(candidate("ease", one_lucky_user), champion=candidate("als", 0.2))
    assert result.model == "als"
    assert result.challenges[0].gain.difference.value == pytest.approx(0.8 / USERS)
    assert "not significantly better than the champion's" in result.challenges[0].objections[0]


def test_one_of_many_equal_challengers_does_not_take_over_by_chance() -> None:
    """Each of 24 challengers is as good as the champion. Without the correction, some seed lets one through."""
    uncorrected, promoted = 0, 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        equal = [candidate(f"model_{n}", 0.2 + random.normal(0, 0.1, USERS)) for n in range(24)]
        result = decide(*equal, champion=candidate("als", 0.2 + random.normal(0, 0.1, USERS)))
        uncorrected += any(challenge.gain.difference.low > 0 for challenge in result.challenges)
        promoted += result.model != "als"
    assert uncorrected >= 1
    assert promoted == 0


def test_the_more_challengers_the_larger_a_lead_has_to_be() -> None:
    lead = np.where(np.arange(USERS) % 10 < 7, 0.1, -0.08)
    better, champion = candidate("ease", 0.25 + lead), candidate("als", 0.25)
    alone = decide(better, champion=champion)
    crowd = decide(better, *(candidate(f"model_{n}", 0.25 + NOISE) for n in range(30)), champion=champion)
    assert (alone.model, crowd.model) == ("ease", "als")
    assert alone.challenges[0].gain.tests == 2
    p_alone, p_crowd = (result.challenges[0].gain.p for result in (alone, crowd))
    assert p_crowd == pytest.approx(31 * p_alone, rel=1e-6), "popularity, which is far worse, comes first in both"
    assert "after Holm's correction for 32 challengers is not significantly better" in crowd.reason


def test_who_beats_a_champion_that_is_worse_than_popularity_must_beat_popularity_too() -> None:
    result = decide(candidate("ease", 0.08), champion=candidate("als", 0.02))
    assert result.model == "popularity"
    ease = next(challenge for challenge in result.challenges if challenge.model == "ease")
    assert ease.gain.difference.low > 0
    assert "not significantly better than popularity's" in ease.objections[0]


@pytest.mark.parametrize(
    ("challenger", "objection"),
    [
        (candidate("ease", 0.25, coverage=0.09), "coverage@10 0.0900 is worse than 0.1000"),
        (candidate("svd", 0.25, rmse=0.96), "RMSE 0.9600 is worse than 0.9450"),
        (
            candidate("ease", np.where(ACTIVITY <= 10, 0.17, 0.4)),
            "NDCG@10 of the least active users 0.1700 is worse than 0.1800",
        ),
    ],
)
def test_who_falls_on_a_guard_metric_beyond_its_tolerance_is_refused(challenger: Candidate, objection: str) -> None:
    result = decide(challenger)
    assert result.model == "als"
    assert objection in result.reason


def test_results_of_an_earlier_version_are_refused() -> None:
    old = candidate("ease", 0.3)
    del old.per_user["known"]  # type: ignore[attr-defined]
    with pytest.raises(RecsysError, match="ease was evaluated by an earlier version; run evaluation/ease again"):
        decide(old)


def test_within_the_tolerance_a_guard_metric_may_fall() -> None:
    assert decide(candidate("svd", 0.25, coverage=0.11, rmse=0.94)).model == "svd"


def test_a_model_that_predicts_no_ratings_is_not_held_to_an_error() -> None:
    (challenge, _) = decide(candidate("ease", 0.25)).challenges
    assert [guard.metric for guard in challenge.guards] == ["coverage@10", "NDCG@10 of the least active users"]


def test_a_model_whose_figures_are_not_numbers_is_no_challenger() -> None:
    result = decide(candidate("neumf", np.nan))
    assert [challenge.model for challenge in result.challenges] == ["popularity"]


def test_the_same_model_with_other_parameters_is_a_challenger_like_any_other() -> None:
    assert decide(candidate("als", 0.3, version="w")).version == "w"


def test_popularity_is_required_and_all_models_must_have_the_same_users() -> None:
    with pytest.raises(RecsysError, match="popularity was not evaluated"):
        evaluate_challengers(CHAMPION, [candidate("ease", 0.3)], TOLERANCES, seed=1)
    other = candidate("ease", np.where(np.arange(USERS) == 3, np.nan, 0.3))
    with pytest.raises(RecsysError, match="ease and als were evaluated on different users"):
        decide(other)


def test_the_least_active_are_a_quarter_of_those_with_training_pairs() -> None:
    assert least_active(np.array([0, 0, 1, 2, 3, 4, 5])).tolist() == [False, False, True, True, False, False, False]
    assert not least_active(np.zeros(3, dtype=int)).any()


def test_where_recent_popularity_was_evaluated_a_challenger_has_to_beat_it_too() -> None:
    challenger = candidate("ease", 0.25 + NOISE)
    beaten = decide(challenger, candidate("recent_popularity", 0.22 + NOISE[::-1]))
    assert beaten.model == "ease"
    result = decide(challenger, candidate("recent_popularity", 0.25 + NOISE[::-1]))
    assert result.model == "recent_popularity"
    objections = next(one.objections for one in result.challenges if one.model == "ease")
    assert [text.partition(" is not ")[2] for text in objections] == ["significantly better than recent popularity's"]


def test_recent_popularity_can_become_champion_itself() -> None:
    assert decide(candidate("recent_popularity", 0.25 + NOISE)).model == "recent_popularity"
