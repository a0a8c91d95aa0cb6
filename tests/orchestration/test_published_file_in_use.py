"""A run while another program has the published file open for writing."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from database_client import connected

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.lifecycle.publication import build_lists, publish_built
from recsys_dagster.orchestration.sensors import _are_new
from recsys_dagster.quality.data import volumes_are_as_before
from recsys_dagster.quality.lists import failed_list_checks, overlap_with_published
from recsys_dagster.quality.reference import NOTHING_YET
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.reports.comparison import published_results
from recsys_dagster.warehouse.domain_run import DomainRun


@pytest.fixture
def run(movie_run: Any, tmp_path: Path) -> DomainRun:
    home = tmp_path / "home"
    shutil.copytree(movie_run.layout.home, home)
    return DomainRun(movie_run.settings.model_copy(update={"home": home}), BUILT_IN_DOMAINS["movie"])


def test_a_run_compares_and_publishes_while_a_client_is_connected(run: DomainRun) -> None:
    path = run.layout.published("movie")
    with run, connected(path) as client:
        client.write()
        assert all(finding.passed for finding in volumes_are_as_before(run))
        assert NOTHING_YET not in volumes_are_as_before(run)
        build_lists(run)
        with connected(run.layout.built("movie")):
            assert failed_list_checks(run) == []
        assert overlap_with_published(run) == 1
        published = publish_built(run)
        client.write()
    assert path.with_name("movie.duckdb.wal.set-aside").exists()
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT created_at FROM provenance").fetchall() == [(published.created_at,)]


def test_pages_and_sensors_read_what_is_published_while_a_client_is_connected(run: DomainRun) -> None:
    with run, connected(run.layout.published("movie")):
        assert collect_report(run).provenance.domain == "movie"
        assert list(published_results(run.layout, ["movie"])) == ["movie"]
        assert not _are_new(run, None)


@pytest.mark.parametrize("content", [b"", b"cut", None], ids=["empty", "no database", "cut short"])
def test_a_damaged_published_file_does_not_keep_a_run_from_replacing_it(run: DomainRun, content: bytes | None) -> None:
    path = run.layout.published("movie")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with run:
        assert volumes_are_as_before(run) == [NOTHING_YET]
        build_lists(run)
        assert overlap_with_published(run) is None
        publish_built(run)
        assert list(published_results(run.layout, ["movie"])) == ["movie"]
