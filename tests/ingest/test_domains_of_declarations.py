"""Domains and datasets come from the built-in lists and from the declarations under RECSYS_HOME."""

from pathlib import Path

import pytest

from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.catalogue import declared_datasets, get_dataset
from recsys_dagster.ingest.declaration import DeclarationError
from recsys_dagster.ingest.domain_lookup import get_domain, known_domains
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings, refuse_unknown_domains
from recsys_dagster.warehouse.domain_run import DomainRun

SHOP = """
domain: shop
ratings: {scale: [0, 100], liked_from: 70}
interactions: {files: orders.csv, user: customer, item: sku, rating: stars}
"""
PLAYS = "domain: music\nratings: implicit\ninteractions: {files: plays.csv, user: who, item: song, weight: plays}\n"
DAMAGED = "domain: garden\nratings: [1, 5\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with two declared domains, one more dataset of movies, and a damaged declaration of a third domain."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "plays.yaml").write_text(PLAYS)
    (folder / "cinema.yaml").write_text(SHOP.replace("domain: shop", "domain: movie"))
    (folder / "plants.yaml").write_text(DAMAGED)
    (folder / ".draft.yaml").write_text("domain: draft")
    return Settings(home=tmp_path, mirror=None, datasets={}, _env_file=None)


def test_every_declared_domain_is_a_domain_after_the_built_in_ones(settings: Settings) -> None:
    assert known_domains(settings) == ["anime", "movie", "garden", "music", "shop"]
    definitions = build_definitions(settings)
    partitions = definitions.resolve_assets_def(["clean", "items"]).partitions_def
    assert partitions is not None
    assert list(partitions.get_partition_keys()) == known_domains(settings)


def test_a_declared_domain_has_the_scale_of_its_dataset_and_implicit_feedback_has_none(settings: Settings) -> None:
    shop, music = get_domain("shop", settings), get_domain("music", settings)
    assert (shop.scale, shop.like_threshold, shop.default_dataset, shop.is_implicit) == ((0, 100), 70, "shop", False)
    assert (music.scale, music.like_threshold, music.default_dataset, music.is_implicit) == (None, None, "plays", True)


def test_a_dataset_has_its_own_scale_whatever_its_domain(settings: Settings) -> None:
    run = DomainRun(settings.with_datasets({"movie": "cinema"}), get_domain("movie", settings))
    assert (run.dataset.scale, run.dataset.like_threshold) == ((0, 100), 70)
    run = DomainRun(settings, get_domain("movie", settings))
    assert (run.dataset.scale, run.dataset.like_threshold) == ((0.5, 5), 4)


def test_a_damaged_declaration_is_named_by_what_needs_it_and_by_nothing_else(settings: Settings) -> None:
    datasets, errors = declared_datasets(settings)
    assert [dataset.id for dataset in datasets] == ["cinema", "plays", "shop"]
    assert len(errors) == 1
    assert "plants.yaml, line 3: not readable as YAML" in str(errors[0])
    assert get_dataset("shop", settings).domain == "shop"
    with pytest.raises(DeclarationError, match=r"plants\.yaml"):
        _ = DomainRun(settings, get_domain("garden", settings)).dataset


def test_a_declaration_is_read_again_when_it_has_changed(settings: Settings, tmp_path: Path) -> None:
    assert get_dataset("shop", settings).scale == (0, 100)
    (tmp_path / "datasets" / "shop.yaml").write_text(SHOP.replace("[0, 100]", "[0, 1000]"))
    assert get_dataset("shop", settings).scale == (0, 1000)


def test_a_declaration_cannot_take_the_id_of_a_built_in_dataset(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "datasets" / "ml-25m.yaml").write_text(SHOP)
    assert [str(error) for error in declared_datasets(settings)[1] if "ml-25m is the id of a built-in" in str(error)]


@pytest.mark.parametrize("name", ["ratings.csv", "./orders", "/data/ml-25m.zip"])
def test_a_path_instead_of_a_name_is_answered_with_the_command_that_takes_paths(settings: Settings, name: str) -> None:
    for find in (get_dataset, get_domain):
        with pytest.raises(UsageError, match=r"is a path, where .* expected; `recsys import` makes a d"):
            find(name, settings)


def test_an_unknown_name_is_answered_with_the_nearest_ones(settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"unknown dataset 'shopp'; such as shop.* are known; .*`recsys import`"):
        get_dataset("shopp", settings)
    with pytest.raises(UsageError, match=r"unknown domain 'musik' \(did you mean music\?\); known: anime, movie, "):
        get_domain("musik", settings)


def test_the_domain_of_a_public_dataset_is_one_once_it_is_chosen_or_published(settings: Settings) -> None:
    assert "book" not in known_domains(settings)
    chosen = settings.with_datasets({"book": "goodbooks-10k"})
    assert known_domains(chosen)[-1] == "book"
    refuse_unknown_domains(chosen.datasets, chosen.home)
    run = DomainRun(chosen, get_domain("book", chosen))
    assert (run.dataset.id, run.dataset.scale) == ("goodbooks-10k", (1, 5))
    assert get_domain("book", settings).default_dataset == "book-crossing", "a domain that is named needs no choice"

    published = Layout(settings.home).published("book")
    published.parent.mkdir(parents=True)
    published.touch()
    assert known_domains(settings)[-1] == "book"


def test_a_wrong_dataset_of_a_public_domain_is_answered_with_the_nearest_one(settings: Settings) -> None:
    chosen = settings.with_datasets({"book": "goodbooks"})
    assert "book" in known_domains(chosen)
    with pytest.raises(UsageError, match=r"unknown dataset 'goodbooks'; such as goodbooks-10k"):
        _ = DomainRun(chosen, get_domain("book", chosen)).dataset
