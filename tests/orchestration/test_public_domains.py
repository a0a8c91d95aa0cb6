"""Public datasets of a domain of their own reach published lists in one command, without an import."""

from pathlib import Path

import duckdb
import pytest
from public_files import N_USERS, write_archive
from typed_command import Typed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a mirror with small archives of both public datasets of books."""
    for dataset_id in ("goodbooks-10k", "book-crossing"):
        write_archive(tmp_path / "mirror", dataset_id)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECSYS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def published(home: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "published" / "book.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_a_chosen_public_dataset_needs_no_import(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_DATASET_BOOK", "goodbooks-10k")
    run = Typed(capsys, "run", "--domain", "book", "--models", "popularity,user_item_bias")
    assert run.code == 0, run.err
    assert "book: dataset goodbooks-10k, named by RECSYS_DATASET_BOOK" in run.err
    assert published(home, "SELECT count(DISTINCT user_id) FROM recommendations") == [(N_USERS,)]

    monkeypatch.delenv("RECSYS_DATASET_BOOK")
    asked = Typed(capsys, "recommend", "--domain", "book", "--user", "1", "-n", "3")
    assert asked.code == 0, "what was published needs no variable"
    assert "Book " in asked.out


def test_data_in_which_only_some_interactions_have_a_rating_go_the_whole_way(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Typed(capsys, "run", "--domain", "book", "--models", "popularity,user_item_bias,ease")
    assert run.code == 0, run.err
    assert "book: dataset book-crossing, the default" in run.err
    (rated, rows) = published(
        home, "SELECT count(*) FILTER (model = 'user_item_bias' AND metric = 'rmse'), count(*) FROM leaderboard"
    )[0]
    assert rated
    assert rows
    models = {model for (model,) in published(home, "SELECT DISTINCT model FROM leaderboard")}
    assert models == {"popularity", "constant", "user_item_bias", "ease"}
    types = published(home, "SELECT DISTINCT typeof(item_id) FROM recommendations")
    assert types == [("VARCHAR",)]
