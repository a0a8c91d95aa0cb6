"""The changes that CONTRIBUTING.md describes work as they are described there."""

import json
import re
import zipfile
from pathlib import Path

import duckdb
import pytest
from drills.drill import Repository, apply_edit, copy_repository

ASK_FOR_KINDS = """
import os
from pathlib import Path
import httpx
from running_service import running
from small_publication import publish_small
from recsys_dagster.settings import Settings
home = Path(os.environ["RECSYS_HOME"])
publish_small(home / "published" / "anime.duckdb")
with running(Settings(home=home, _env_file=None), home / "cache") as url:
    print(httpx.get(url + "/v1/anime/kinds").text)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A copy of the repository."""
    return copy_repository(tmp_path)


def test_a_model_is_one_file_and_one_line(repository: Repository) -> None:
    assert len(repository.perform("Add a model")) == 2
    printed = repository.run(
        "-m", "pytest", "-p", "no:cacheprovider", "tests/models/test_contract.py", "-k", "weighted_rating"
    )
    assert re.search(r"\b2\d passed", printed)
    keys = repository.run(
        "-c",
        "from recsys_dagster.definitions import defs\n"
        "print(*(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()))",
    ).split()
    assert {"models/weighted_rating", "evaluation/weighted_rating"} <= set(keys)


def test_a_metric_is_a_function_and_one_entry(repository: Repository) -> None:
    assert set(repository.perform("Add a metric")) == {
        "recsys_dagster/evaluation/metrics/ranking.py",
        "recsys_dagster/evaluation/metrics/registry.py",
    }
    by_hand = repository.run(
        "-c",
        "import numpy as np\n"
        "from recsys_dagster.evaluation.metrics.ranking import rank_biased_precision as rbp\n"
        "print(*rbp(np.array([[True, False, True], [False, False, False]]), np.array([2, 0]), 10).round(3))",
    )
    assert by_hand.split() == ["0.328", "nan"]
    repository.recsys("run", "--domain", "movie", "--models", "popularity")
    home = repository.root / "home"
    with duckdb.connect(home / "published" / "movie.duckdb", read_only=True) as connection:
        (row,) = connection.execute(
            "SELECT low <= value AND value <= high FROM leaderboard "
            "WHERE protocol = 'holdout' AND metric = 'rbp' AND k = 10 AND fold = 'test' AND model = 'popularity'"
        ).fetchall()
    assert row == (True,)
    assert "RBP@10" in (home / "reports" / "movie" / "index.html").read_text(encoding="utf-8")


def test_a_public_dataset_is_one_declaration(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "movietweetings.zip", "w") as archive:
        folder = "MovieTweetings-master/latest"
        archive.writestr(
            f"{folder}/movies.dat", "0000008::Edison Kinetoscopic Record of a Sneeze (1894)::Documentary|Short\n"
        )
        archive.writestr(f"{folder}/ratings.dat", "1::0000008::5::1586466072\n2::0000008::8::1586466073\n")
    assert repository.perform("Add a dataset") == ["recsys_dagster/ingest/public/movietweetings.yaml"]
    settings = {"RECSYS_DATASET_MOVIE": "movietweetings", "RECSYS_MIRROR": str(tmp_path / "mirror")}
    printed = repository.run("-c", FETCH_AND_CLEAN, "movie", **settings)
    assert printed.split() == ["movietweetings", "2"]
    assert "movietweetings " in repository.recsys("datasets", COLUMNS="200")


def test_an_endpoint_is_one_function(repository: Repository) -> None:
    assert repository.perform("Add an HTTP endpoint") == ["recsys_dagster/serving/service/app.py"]
    answers = repository.run("-c", ASK_FOR_KINDS, PYTHONPATH=f"{repository.root}:{repository.root / 'tests'}")
    assert json.loads(answers) == {"kinds": ["Movie", "TV", "OVA"]}


def test_a_domain_is_one_declared_file(repository: Repository) -> None:
    assert repository.perform("Add a domain") == ["home/datasets/book.yaml"]
    partitions = repository.run(
        "-c",
        "from recsys_dagster.definitions import defs\n"
        "print(*defs.resolve_assets_def(['clean', 'items']).partitions_def.get_partition_keys())",
    )
    assert partitions.split() == ["anime", "movie", "book"]
    assert re.search(r"^book +book +declared ", repository.recsys("datasets", COLUMNS="200"), re.MULTILINE)
    write_books(repository.root / "home" / "datasets")
    printed = repository.recsys("run", "--domain", "book", "--models", "popularity")
    assert "book: book, 300 interactions of 30 users with 12 items" in printed
    assert re.search(
        r"^   1  Book \d+ ", repository.recsys("recommend", "--domain", "book", "--user", "reader 7"), re.MULTILINE
    )


def write_books(folder: Path) -> None:
    """Write the files that the declaration in CONTRIBUTING.md names: ten ratings of each reader, one a day."""
    readers = [
        f"reader {reader},{(reader + 5 * step) % 12:010},{1 + reader * step % 5},2024-{1 + step:02}-0{1 + reader % 9}"
        for reader in range(30)
        for step in range(10)
    ]
    (folder / "ratings.csv").write_text("\n".join(["reader,isbn,stars,day", *readers]) + "\n")
    books = [f"{book:010},Book {book},Novel;{'Crime' if book % 2 else 'Travel'}" for book in range(12)]
    (folder / "books.csv").write_text("\n".join(["isbn,title,subjects", *books]) + "\n")


FETCH_AND_CLEAN = """
import sys
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.settings import read_settings
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.domain_run import DomainRun

settings = read_settings()
with DomainRun(settings, get_domain(sys.argv[1], settings)) as run:
    fetch(run.dataset, run.settings)
    build_clean(run.warehouse, run.dataset, run.manifest)
    with run.warehouse.connect() as connection:
        print(run.dataset.id, connection.sql("SELECT count(*) FROM clean.ratings").fetchall()[0][0])
"""


def test_an_edit_whose_place_is_gone_fails() -> None:
    assert apply_edit("one\ntwo\n", " one\n+and a half\n") == "one\nand a half\ntwo\n"
    for text in ("two\n", "one\none\n"):
        with pytest.raises(AssertionError, match="times, not once"):
            apply_edit(text, " one\n+and a half\n")
