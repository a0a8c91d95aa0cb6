"""`recsys run` as a user types it: through to the lists, with a failing step, with a wrong setting."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_archive import write_archive

from recsys_dagster.orchestration.instance import open_instance
from recsys_dagster.runtime.layout import Layout

MIRROR = os.environ.get("RECSYS_MIRROR")


def test_lists_are_published_although_the_profile_crashes_and_the_exit_code_is_3(home: Any, tmp_path: Path) -> None:
    faulty = (
        "from recsys_dagster.orchestration.assets import explore\n"
        "def crash(*_): raise ValueError('the profile crashed')\n"
        "explore.read_profile = crash\n"
        "from recsys_dagster.cli.main import main\n"
        "main(['run', '--domain', 'movie'])\n"
    )
    _, environment = home.command()
    done = subprocess.run(
        [sys.executable, "-c", faulty], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 3, done.stderr
    assert "recsys: movie: explore/profile: ValueError: the profile crashed" in done.stderr
    assert home.lists("movie")


def test_a_failed_check_is_reported_with_the_finding_and_the_cure(home: Any, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    write_archive(mirror, change=lambda rows: [row.replace(",", ",x", 1) for row in rows])
    home.environment |= {"RECSYS_MIRROR": str(mirror), "RECSYS_DATASET_MOVIE": "ml-latest-small"}
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "ratings.csv: 100 % of 900 rows were rejected" in line]
    assert told, done.stderr
    assert (
        told[0].removeprefix("recsys: ").startswith("movie: ratings.csv: 100 % of 900 rows were rejected (at most 5 %)")
    )
    assert "Cure: " in told[0]
    assert "DagsterAssetCheckFailedError" not in done.stderr
    with open_instance(Layout(home.path)) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert "movie: ratings.csv: 100 % of 900 rows were rejected" in str(failure.dagster_event.event_specific_data)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RECSYS_DATASET_MOVIE", "ml-1b", "`recsys datasets` lists all"),
        ("RECSYS_DATASET_MOVIE", "myanimelist", "is a dataset of the domain 'anime'"),
        ("RECSYS_MODELS", "oracle", "popularity"),
    ],
)
def test_a_wrong_setting_is_an_error_in_one_line_before_anything_runs(
    home: Any, variable: str, value: str, said: str
) -> None:
    home.environment[variable] = value
    done = home.recsys("run", "--domain", "movie")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert value in done.stderr
    assert said in done.stderr


def test_a_failing_step_is_reported_in_one_line_and_the_other_domain_is_published(home: Any, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "ml-latest-small.zip").write_bytes(b"PK\x03\x04 cut short")
    home.environment |= {"RECSYS_MIRROR": str(tmp_path / "mirror"), "RECSYS_DATASET_MOVIE": "ml-latest-small"}
    done = home.recsys("run")
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("recsys: ")]
    assert "movie: raw/files: " in told
    assert "ml-latest-small.zip" in told
    assert home.lists("anime")


def test_of_several_failures_each_has_a_line_and_the_last_says_how_many(home: Any, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    for dataset in ("ml-latest-small", "myanimelist"):
        (tmp_path / "mirror" / f"{dataset}.zip").write_bytes(b"PK\x03\x04 cut short")
    home.environment |= {
        "RECSYS_MIRROR": str(tmp_path / "mirror"),
        "RECSYS_DATASET_ANIME": "myanimelist",
        "RECSYS_DATASET_MOVIE": "ml-latest-small",
    }
    done = home.recsys("run")
    assert done.returncode == 1
    *_, second, last = done.stderr.splitlines()
    assert second.startswith("movie: raw/files: ")
    assert last.startswith("recsys: anime: raw/files: ")
    assert last.endswith(" (and 1 more, above)")


@pytest.mark.skipif(not MIRROR, reason="RECSYS_MIRROR names no mirror of the real datasets")
@pytest.mark.parametrize(
    ("domain", "dataset", "counts"),
    [
        ("movie", "ml-latest-small", {"items": 9_742, "ratings": 100_836}),
        ("anime", "anime-recommendations-database", {"items": 12_294, "interactions": 520_609, "ratings": 419_943}),
        ("anime", "anime-recommendation-database-2020", {"items": 17_562, "ratings": 99_999}),
        ("anime", "myanimelist", {}),
    ],
)
def test_real_datasets_go_through_with_the_right_counts(
    home: Any, domain: str, dataset: str, counts: dict[str, int]
) -> None:
    home.environment |= {
        "RECSYS_MIRROR": str(MIRROR),
        "RECSYS_MODELS": "popularity",
        f"RECSYS_DATASET_{domain.upper()}": dataset,
    }
    done = home.recsys("run", "--domain", domain)
    assert done.returncode == 0, done.stderr
    found = {table: rows[0][0] for table, rows in tables(home, domain, counts).items()}
    assert found == counts
    user = home.lists(domain)[0][0]
    shown = home.recsys("recommend", "--domain", domain, "--user", str(user), "-n", "3", "--json")
    assert len(json.loads(shown.stdout)) >= 1


def tables(home: Any, domain: str, names: Any) -> dict[str, list[tuple[int]]]:
    import duckdb

    with duckdb.connect(home.path / "warehouse" / f"{domain}.duckdb") as connection:
        return {name: connection.execute(f"SELECT count(*) FROM clean.{name}").fetchall() for name in names}
