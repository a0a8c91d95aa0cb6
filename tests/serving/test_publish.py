import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_publication import ITEMS, items_table, provenance, publish_small, small_lists

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import TopN
from recsys_dagster.serving.lookup import FORMAT_VERSION, PublishedFile
from recsys_dagster.serving.publishing import PublishedCounts

PUBLISHER = Path(__file__).parents[1] / "small_publication.py"


def rows(path: Path, query: str) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_lists_are_published_by_id_in_order_and_without_their_padding(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"

    counts = publish_small(path)

    assert counts == PublishedCounts(users=3, rows=6)
    assert rows(path, "SELECT user_id, rank, item_id, score FROM recommendations") == [
        (7, 1, 100, 4.5),
        (7, 2, 310, 4.25),
        (7, 3, 205, 1.0),
        (11, 1, 205, 3.0),
        (11, 2, 100, 2.0),
        (40, 1, 310, 67310.0),
    ]
    assert rows(path, "SELECT DISTINCT model, version FROM recommendations") == [
        ("popularity", "20260102T030405-abcdef")
    ]


def test_predicted_ratings_and_their_intervals_are_null_where_nothing_predicts_them(tmp_path: Path) -> None:
    path, query = tmp_path / "anime.duckdb", "SELECT DISTINCT rating, rating_low, rating_high FROM recommendations"
    publish_small(path)
    assert rows(path, query) == [(None, None, None)]
    publish_small(path, predict=lambda users, _: {"rating": np.full(len(users), 7, np.float32)})
    assert rows(path, query) == [(7, None, None)]


def test_the_interval_of_each_pair_is_published_beside_its_rating(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"

    def predict(users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
        ratings = (items + 4 * users / 3).astype(np.float32)
        return {"rating": ratings, "rating_low": ratings - 1, "rating_high": ratings + 2}

    publish_small(path, predict=predict)
    published = rows(path, "SELECT rating, rating_low, rating_high FROM recommendations")
    assert len({rating for rating, _, _ in published}) > 2
    assert all((low, high) == (pytest.approx(rating - 1), pytest.approx(rating + 2)) for rating, low, high in published)


def test_items_leaderboard_and_provenance_are_published_too(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)

    assert rows(path, "SELECT item_id, title, genres FROM items WHERE item_id IN (100, 205) ORDER BY 1") == [
        (100, "Kimi no Na wa.", ["Drama", "Slice of Life"]),
        (205, "<b>Bold</b> & [red]Brash[/red]", None),
    ]
    assert rows(path, "SELECT model, metric, k, value, low, high FROM leaderboard") == [
        ("popularity", "ndcg", 10, 0.25, 0.2, 0.3)
    ]
    assert rows(path, "FROM format_version") == [(FORMAT_VERSION,)]
    assert rows(path, "SELECT domain, dataset, trained_rows, scale_high, packages FROM provenance") == [
        ("anime", "sample-anime", 1234, 10.0, {"recsys-dagster": "0.1.0"})
    ]


def test_lists_whose_user_ids_do_not_rise_are_refused(tmp_path: Path) -> None:
    first, second = small_lists()
    with pytest.raises(ValueError, match="do not rise"):
        publish_small(tmp_path / "anime.duckdb", lists=(second, first))
    with pytest.raises(ValueError, match="do not rise"):
        publish_small(tmp_path / "anime.duckdb", lists=(first, first))
    assert list(tmp_path.iterdir()) == []


def test_a_recommended_item_without_a_row_is_refused_and_the_previous_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)
    before = path.read_bytes()
    remaining = [item for item in ITEMS if item["item_id"] != 310]

    with pytest.raises(RecsysError, match=r"missing from items \(ids 310"):
        publish_small(path, items=items_table(remaining))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_to_recommend_is_not_published_over_something(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)
    nothing = TopN(np.full((1, 3), -1, dtype=np.int32), np.full((1, 3), -np.inf, dtype=np.float32))

    with pytest.raises(RecsysError, match="no user has any item"):
        publish_small(path, lists=[(np.array([0], dtype=np.int32), nothing)])

    with PublishedFile(path) as published:
        assert len(published.recommendations(7, 10)) == 3


def test_a_model_that_fails_halfway_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)

    def failing() -> Iterator[tuple[np.ndarray, TopN]]:
        yield small_lists()[0]
        raise RecsysError("scores are not numbers")

    with pytest.raises(RecsysError, match="scores are not numbers"):
        publish_small(path, lists=failing(), provenance=provenance("newer"))

    with PublishedFile(path) as published:
        assert published.provenance().version == "20260102T030405-abcdef"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("room", [0, 16, 32, 256], ids="{} KiB".format)
def test_a_full_disk_is_one_clear_line_and_the_previous_file_stays(tmp_path: Path, room: int) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room * 1024, hard))
    try:
        with pytest.raises(RecsysError, match=r"anime\.duckdb: could not be written .*free some space"):
            publish_small(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_whole_publications_only_while_another_process_publishes(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    seen = set()
    with publishing(path) as publisher:
        for _ in range(3):  # publications to wait for, reading all the time
            until = time.monotonic() + 60
            current = len(seen)
            while len(seen) == current and time.monotonic() < until:
                with duckdb.connect(path, read_only=True) as connection:
                    users, total, versions, low, high = connection.execute(
                        """
                        SELECT count(DISTINCT user_id), count(*), count(DISTINCT version), min(score), max(score)
                        FROM recommendations
                        """
                    ).fetchall()[0]
                    (version,) = connection.execute("SELECT version FROM provenance").fetchall()[0]
                assert (users, total, versions) == (1000, 50_000, 1)
                assert f"v{low:.0f}" == f"v{high:.0f}" == version
                seen.add(version)
        assert publisher.poll() is None
    assert len(seen) == 3


def test_a_killed_publisher_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    for delay in (0.0, 0.1):
        with publishing(path):
            time.sleep(delay)
        with PublishedFile(path) as published:
            provenance_ = published.provenance()
            recommendations = published.recommendations(999, 100)
        assert len(recommendations) == 50
        assert {f"v{item.score:.0f}" for item in recommendations} == {provenance_.version}
    publish_small(path)
    with PublishedFile(path) as published:
        assert len(published.recommendations(7, 10)) == 3


@contextmanager
def publishing(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that publishes again and again; kill it at the end. The first publication is complete."""
    process = subprocess.Popen([sys.executable, PUBLISHER, path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        yield process
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_reasons_are_published_in_the_ids_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    texts = np.array(["c", "a", "b", "d"], dtype=object)

    def explain(users: np.ndarray, items: np.ndarray) -> np.ndarray:
        reasons = np.full((*items.shape, 3), -1, np.int32)
        reasons[:, 0, :2] = [3, 0]
        return reasons

    items = items_table([item | {"item_id": text} for item, text in zip(ITEMS, "abcd", strict=True)])
    publish_small(path, items=items, item_ids=texts, explain=explain)
    listed = rows(path, "SELECT rank, because FROM recommendations WHERE user_id = 7 ORDER BY rank")
    assert listed == [(1, ["d", "c"]), (2, None), (3, None)]
