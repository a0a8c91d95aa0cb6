import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.lookup import Published, Recommendation, format_score


@pytest.fixture
def path(published_home: Path) -> Path:
    return published_home / "published" / "anime.duckdb"


def test_a_list_has_titles_and_what_is_known_of_them_best_first(path: Path) -> None:
    with Published(path) as published:
        assert published.recommendations(7, 10) == [
            Recommendation(1, 100, "Kimi no Na wa.", "Your Name.", "Movie", 2016, ("Drama", "Slice of Life"), 4.5),
            Recommendation(2, 310, "Mushishi", "Mushi-Shi", "TV", 2005, ("Drama", "Slice of Life"), 4.25),
            Recommendation(3, 205, "<b>Bold</b> & [red]Brash[/red]", None, "TV", None, (), 1.0),
        ]


def test_a_list_is_cut_to_the_length_asked_for(path: Path) -> None:
    with Published(path) as published:
        assert [title.item_id for title in published.recommendations(7, 2)] == [100, 310]


def test_a_kind_is_found_whatever_its_case_and_keeps_the_ranks_of_the_whole_list(path: Path) -> None:
    with Published(path) as published:
        assert [(title.rank, title.item_id) for title in published.recommendations(7, 10, "tv")] == [(2, 310), (3, 205)]


def test_a_user_who_has_everything_already_is_known_and_has_an_empty_list(path: Path) -> None:
    with Published(path) as published:
        assert published.recommendations(12, 10) == []


def test_a_list_without_a_title_of_the_kind_is_empty(path: Path) -> None:
    with Published(path) as published:
        assert published.recommendations(40, 10, "OVA") == []


@pytest.mark.parametrize("user", [8, -1, 2**63, 10**40], ids=str)
def test_an_unknown_user_is_told_how_many_there_are_and_which(path: Path, user: int) -> None:
    with (
        Published(path) as published,
        pytest.raises(
            UsageError,
            match=f"unknown user {user} in anime; known: 4 users with ids from 7 to 40, such as 7, 11, 12",
        ),
    ):
        published.recommendations(user, 10)


def test_an_unknown_kind_is_told_those_there_are(path: Path) -> None:
    with (
        Published(path) as published,
        pytest.raises(UsageError, match="unknown kind 'Opera' in anime; known: Movie, OVA, TV"),
    ):
        published.recommendations(7, 10, "Opera")


def test_where_nothing_is_published_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match=r"movie\.duckdb: nothing is published .* `recsys run --domain movie` first"):
        Published(tmp_path / "movie.duckdb")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "movie.duckdb"
    path.write_text("not a database, but as long as one would have to be " * 100)
    with pytest.raises(RecsysError, match=r"movie\.duckdb: not a readable published file"):
        Published(path)


def test_provenance_comes_back_as_it_was_published(path: Path) -> None:
    with Published(path) as published:
        provenance = published.provenance()
    assert provenance.dataset == "sample-anime"
    assert provenance.scale == (1, 10)
    assert provenance.packages == {"recsys-dagster": "0.1.0"}
    assert isinstance(provenance.created_at, datetime)


@pytest.mark.parametrize(
    ("score", "text"), [(0.01234567, "0.01235"), (4.5, "4.5"), (999.96, "1000"), (67310, "67,310"), (0, "0")]
)
def test_a_score_is_readable_on_any_scale(score: float, text: str) -> None:
    assert format_score(score) == text


def test_looking_up_imports_nothing_heavy(path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from recsys_dagster.serving.lookup import Published
with Published(Path({str(path)!r})) as published:
    published.recommendations(7, 10)
    published.provenance()
heavy = {{"keras", "tensorflow", "sklearn", "matplotlib", "pandas", "pyarrow", "numpy", "scipy"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_many_readers_at_once_are_all_answered(path: Path) -> None:
    answers = []

    def read() -> None:
        with Published(path) as published:
            answers.append(len(published.recommendations(7, 10)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [3] * 8
