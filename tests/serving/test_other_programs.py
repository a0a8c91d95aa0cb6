"""Another program has the published file open for writing, or was killed while it had: as DuckDB's shell does."""

import resource
import signal
import sys
from pathlib import Path

import duckdb
import pytest
from database_client import connected
from small_publication import provenance, publish_small

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.lookup import PublishedFile, open_without_lock
from recsys_dagster.serving.swap import logs, restore_previous, swap_in


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    publish_version(layout, "one")
    return layout


def publish_version(layout: Layout, version: str) -> None:
    publish_small(layout.built("anime"), provenance=provenance(version))
    swap_in(layout.built("anime"), layout.published("anime"), layout.previous("anime"), layout.previous("anime", 2))


def leave_a_foreign_log(layout: Layout) -> None:
    """Leave the log of version one next to version two, as where a swap could not put links."""
    log, kept = logs(layout.published("anime"))[0], layout.home / "kept"
    with connected(layout.published("anime")) as client:
        client.write()
    log.rename(kept)
    publish_version(layout, "two")
    kept.rename(log)


def version_by_any_reader(path: Path) -> str:
    """Read the version as a program that knows nothing of this project does."""
    with duckdb.connect(path, read_only=True) as connection:
        ((version,),) = connection.execute("SELECT version FROM provenance").fetchall()
    return str(version)


def test_the_log_of_a_killed_client_is_set_aside_by_the_next_swap(layout: Layout) -> None:
    path = layout.published("anime")
    with connected(path) as client:
        client.write()
    assert logs(path)[0].exists()
    publish_version(layout, "two")
    assert version_by_any_reader(path) == "two"
    assert not logs(path)[0].exists()
    assert path.with_name("anime.duckdb.wal.set-aside").exists()
    publish_version(layout, "three")
    assert version_by_any_reader(path) == "three"
    assert version_by_any_reader(layout.previous("anime")) == "two"


def test_a_swap_needs_no_lock_and_a_client_that_is_killed_later_does_no_harm(layout: Layout) -> None:
    path = layout.published("anime")
    with connected(path) as client:
        client.write()
        publish_version(layout, "two")
        assert version_by_any_reader(path) == "two"
        client.write()
    assert version_by_any_reader(path) == "two"


def test_a_client_that_is_connected_since_before_a_swap_cannot_begin_a_log_next_to_the_new_file(layout: Layout) -> None:
    path = layout.published("anime")
    with connected(path) as client:
        publish_version(layout, "two")
        client.write_in_vain()
        assert version_by_any_reader(path) == "two"
        publish_version(layout, "three")
        client.write_in_vain()
        assert version_by_any_reader(path) == "three"
    assert version_by_any_reader(path) == "three"
    publish_version(layout, "four")
    with connected(path) as client:
        client.write()


def test_going_back_leaves_no_room_for_the_log_of_a_client_of_the_newer_file(layout: Layout) -> None:
    path = layout.published("anime")
    publish_version(layout, "two")
    with connected(path) as client:
        restore_previous(path, layout.previous("anime"))
        client.write_in_vain()
        assert version_by_any_reader(path) == "one"


def test_a_log_of_another_file_is_set_aside_by_a_look_up(layout: Layout) -> None:
    path = layout.published("anime")
    leave_a_foreign_log(layout)
    with PublishedFile(path) as published:
        assert published.provenance().version == "two"
    assert version_by_any_reader(path) == "two"


def test_going_back_sets_the_log_aside_too(layout: Layout) -> None:
    path = layout.published("anime")
    publish_version(layout, "two")
    with connected(path) as client:
        client.write()
    restore_previous(path, layout.previous("anime"))
    assert version_by_any_reader(path) == "one"


def test_a_log_that_cannot_be_set_aside_is_named_with_the_cure(layout: Layout) -> None:
    path = layout.published("anime")
    leave_a_foreign_log(layout)
    path.with_name("anime.duckdb.wal.set-aside").mkdir()
    with pytest.raises(RecsysError, match=r"anime\.duckdb\.wal: another program left this log .*; delete it, then try"):
        PublishedFile(path)


def test_while_a_client_is_connected_the_error_names_the_file_the_process_and_the_cure(layout: Layout) -> None:
    path = layout.published("anime")
    with connected(path) as client, pytest.raises(RecsysError) as caught:
        PublishedFile(path)
    program = Path(sys.executable).resolve().name
    assert str(caught.value) == (
        f"{path}: open for writing in {program} (process {client.process.pid}); close it there, or open it there for "
        "reading only, then try again"
    )


def test_a_run_reads_the_published_file_while_a_client_is_connected(layout: Layout) -> None:
    path = layout.published("anime")
    with connected(path) as client:
        client.write()
        with open_without_lock(path) as published:
            assert published.provenance().version == "one"
            assert len(published.recommendations(7, 10)) == 3
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".tmp")] == []


def test_a_full_disk_is_one_line_where_a_run_needs_a_copy(layout: Layout) -> None:
    path = layout.published("anime")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with connected(path):
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, hard))
        try:
            with (
                pytest.raises(
                    RecsysError, match=r"^[^\n]*anime\.duckdb: open for writing .* cannot be copied \(File too"
                ),
                open_without_lock(path),
            ):
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, ignored)
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".tmp")] == []
