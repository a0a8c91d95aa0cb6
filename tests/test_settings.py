"""Settings from the environment, and what they choose."""

from pathlib import Path

import pytest

from recsys_dagster.domains import DOMAINS, get_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import model_names
from recsys_dagster.models.selection import budget_of, selected_models
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.domain_run import DomainRun


def settings(tmp_path: Path, **chosen: object) -> Settings:
    return Settings(home=tmp_path, _env_file=None, **{"models": "", **chosen})


def test_names_of_models_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_MODELS", "ease, als,")
    assert Settings(_env_file=None).models == ("ease", "als")


def test_a_run_fits_all_models_within_the_budget_and_those_that_are_named_whatever_they_cost(tmp_path: Path) -> None:
    usual = settings(tmp_path, budget_seconds=60, budget_memory="2GiB")
    assert selected_models(usual) == model_names()
    assert budget_of(usual, "ease") == Budget(60, 2 * 2**30)
    assert budget_of(usual, "popularity") is None, "without the baselines no figure means anything"
    for chosen in ("all", "ease"):
        named = settings(tmp_path, models=chosen, budget_seconds=60)
        assert budget_of(named, "ease") is None
    assert selected_models(settings(tmp_path, models="all")) == model_names()


def test_the_baselines_are_always_fitted(tmp_path: Path) -> None:
    assert selected_models(settings(tmp_path, models="ease")) == ("popularity", "user_item_bias", "ease")


def test_an_unknown_model_domain_or_dataset_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'oracle'; known: popularity, "):
        selected_models(settings(tmp_path, models="oracle"))
    with pytest.raises(UsageError, match="unknown domain 'book'; known: anime, movie"):
        get_domain("book")
    with pytest.raises(UsageError, match="ml-latest-small"):
        _ = DomainRun(settings(tmp_path, movie_dataset="ml-1b"), DOMAINS["movie"]).dataset


def test_a_dataset_of_another_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RECSYS_MOVIE_DATASET=myanimelist is a dataset of the domain 'anime'"):
        _ = DomainRun(settings(tmp_path, movie_dataset="myanimelist"), DOMAINS["movie"]).dataset


def test_what_was_never_fetched_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match="sample-movie: not fetched yet"):
        _ = DomainRun(settings(tmp_path), DOMAINS["movie"]).manifest
