"""Settings from the environment, and what they choose."""

from pathlib import Path

import pytest

from recsys_dagster.domains import DOMAINS, get_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.evaluation.workspace import Workspace
from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import model_names
from recsys_dagster.settings import Settings


def settings(tmp_path: Path, **chosen: object) -> Settings:
    return Settings(home=tmp_path, _env_file=None, **{"models": "", **chosen})


def test_names_of_models_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_MODELS", "ease, als,")
    assert Settings(_env_file=None).models == ("ease", "als")


def test_a_run_fits_all_models_within_the_budget_and_those_that_are_named_whatever_they_cost(tmp_path: Path) -> None:
    usual = Workspace(settings(tmp_path, budget_seconds=60, budget_memory="2GiB"))
    assert usual.models() == model_names()
    assert usual.budget("ease") == Budget(60, 2 * 2**30)
    assert usual.budget("popularity") is None, "without the baselines no figure means anything"
    for chosen in ("all", "ease"):
        named = Workspace(settings(tmp_path, models=chosen, budget_seconds=60))
        assert named.budget("ease") is None
    assert Workspace(settings(tmp_path, models="all")).models() == model_names()


def test_the_baselines_are_always_fitted(tmp_path: Path) -> None:
    assert Workspace(settings(tmp_path, models="ease")).models() == ("popularity", "user_item_bias", "ease")


def test_an_unknown_model_domain_or_dataset_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'oracle'; known: popularity, "):
        Workspace(settings(tmp_path, models="oracle")).models()
    with pytest.raises(UsageError, match="unknown domain 'book'; known: anime, movie"):
        get_domain("book")
    with pytest.raises(UsageError, match="ml-latest-small"):
        Workspace(settings(tmp_path, movie_dataset="ml-1b")).dataset(DOMAINS["movie"])


def test_a_dataset_of_another_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RECSYS_MOVIE_DATASET=myanimelist is a dataset of the domain 'anime'"):
        Workspace(settings(tmp_path, movie_dataset="myanimelist")).dataset(DOMAINS["movie"])


def test_what_was_never_fetched_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match="sample-movie: not fetched yet"):
        Workspace(settings(tmp_path)).manifest(DOMAINS["movie"])
