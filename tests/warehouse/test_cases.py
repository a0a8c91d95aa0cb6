"""Public data bent into shapes that people meet: each is read right, or refused in one line.

The archives are in the folder RECSYS_CASES, or in `cases` next to the mirror RECSYS_MIRROR.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from handmade import rows

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.quality.checks import all_checks
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.domain_run import DomainRun

MIRROR = os.environ.get("RECSYS_MIRROR")
CASES = Path(os.environ.get("RECSYS_CASES") or (Path(MIRROR).parent / "cases" if MIRROR else "cases"))
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is no folder of cases; set RECSYS_CASES")


@dataclass(frozen=True)
class Expected:
    """What a case gives: its ratings and items, how its folds are cut, and which checks are red."""

    ratings: int = 4273
    items: int = 500
    method: str = "time"
    red: tuple[str, ...] = ()


EXPECTED = {
    "kaggle-movielens-20m": Expected(),
    "milliseconds": Expected(),
    "one-timestamp": Expected(method="hash"),
    "batch-import": Expected(),
    "float-ids": Expected(),
    "quote-all": Expected(),
    "mixed-line-ends": Expected(),
    "no-timestamp": Expected(method="hash"),
    "title-quotes": Expected(3838, 440, red=("few_rows_are_rejected",)),
    "one-blank-title": Expected(),
    "blank-titles": Expected(),
    "genre-spelling": Expected(),
    "unknown-in-capitals": Expected(4552, 3000, method="hash"),
}


def run_of(case: str, home: Path) -> DomainRun:
    """The domain after its clean tables and features are built."""
    dataset_id = next((CASES / case).glob("*.zip")).stem
    dataset = get_dataset(dataset_id, Settings(home=home, _env_file=None))
    settings = Settings(home=home, mirror=str(CASES / case), _env_file=None, datasets={dataset.domain: dataset_id})
    run = DomainRun(settings, BUILT_IN_DOMAINS[dataset.domain])
    manifest = fetch(dataset, settings)
    build_clean(run.warehouse, dataset, manifest, max_rejected=settings.max_rejected)
    build_features(run.warehouse, settings.seed)
    return run


@pytest.mark.parametrize(("case", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_a_case_is_read_right(tmp_path: Path, case: str, expected: Expected) -> None:
    if not (CASES / case).is_dir():
        pytest.skip(f"{CASES} has no {case}")
    run = run_of(case, tmp_path)
    counts = "SELECT (SELECT count(*) FROM clean.ratings), (SELECT count(*) FROM clean.items)"
    assert rows(run.warehouse, counts) == [(expected.ratings, expected.items)]
    assert rows(run.warehouse, "SELECT method FROM features.fold_cuts") == [(expected.method,)]
    folds = rows(
        run.warehouse, "SELECT fold, count(*) > 0.02 * sum(count(*)) OVER () FROM features.interactions GROUP BY 1"
    )
    assert dict(folds) == {"train": True, "validation": True, "test": True}
    checks = [check for check in all_checks() if check.asset[0] in ("clean", "features")]
    red = {check.name for check in checks if not all(finding.passed for finding in check.find(run))}
    assert red == set(expected.red)


def test_milliseconds_are_the_times_of_the_original(tmp_path: Path) -> None:
    run = run_of("milliseconds", tmp_path)
    years = rows(run.warehouse, "SELECT year(min(rated_at)), year(max(rated_at)), count(rated_at) FROM clean.ratings")
    assert years == [(1996, 2018, 4273)]


def test_blank_titles_and_unknown_words_are_null_and_genres_are_one(tmp_path: Path) -> None:
    blank = run_of("blank-titles", tmp_path / "blank")
    assert rows(blank.warehouse, "SELECT count(*) - count(title) FROM clean.items") == [(50,)]
    genres = run_of("genre-spelling", tmp_path / "genres")
    query = (
        "SELECT count(DISTINCT genre), count(DISTINCT lower(genre)), bool_or(genre = 'Action')"
        " FROM features.item_genres"
    )
    assert rows(genres.warehouse, query) == [(19, 19, True)]
    unknown = run_of("unknown-in-capitals", tmp_path / "unknown")
    query = "SELECT count(*) - count(title_english), count(*) FILTER (title_english ILIKE 'unknown') FROM clean.items"
    assert rows(unknown.warehouse, query) == [(1217, 0)]


def test_rejected_titles_are_told_with_share_reason_and_line(tmp_path: Path) -> None:
    run = run_of("title-quotes", tmp_path)
    (check,) = [check for check in all_checks() if check.name == "few_rows_are_rejected"]
    message = check.message("movie", check.find(run))
    assert "movies.csv: 12 % of 500 rows were rejected (at most 5 %): unparsable 60, such as line 2: `1," in message


def test_the_newest_anime_data_are_read_and_no_row_is_lost(tmp_path: Path) -> None:
    run = run_of("anime-2023", tmp_path)
    with run.warehouse.connect() as connection:
        counts = "SELECT (SELECT count(*) FROM clean.items), (SELECT count(*) FROM clean.interactions),"
        where = "FROM clean.rejected WHERE source_file LIKE '%users-score%'"
        items, kept, rejected = connection.execute(f"{counts} (SELECT count(*) {where})").fetchone() or (0, 0, 0)
    assert (items, kept + rejected) == (3000, 4552)
