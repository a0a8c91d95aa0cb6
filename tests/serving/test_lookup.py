import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_publication import ITEM_IDS, ITEMS, items_table, provenance, publish_small, small_lists

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.models.base import TopN
from recsys_dagster.serving.item_finder import ItemFinder
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.recommendation import Recommendation, format_score

DESCRIBED = Recommendation(
    0, 0, "", None, "Movie", 2016, ("Drama", "Slice of Life"), 0,
    episodes=1, members=10, site_score=8.5, synopsis="A tale.", is_adult=False,
)  # fmt: skip


@pytest.fixture
def path(published_home: Path) -> Path:
    return published_home / "published" / "anime.duckdb"


def test_a_list_has_the_items_with_their_description_best_first(path: Path) -> None:
    with PublishedFile(path) as published:
        assert published.recommendations(7, 10) == [
            replace(DESCRIBED, rank=1, item_id=100, title="Kimi no Na wa.", title_english="Your Name.", score=4.5),
            replace(
                DESCRIBED,
                rank=2,
                item_id=310,
                title="Mushishi",
                title_english="Mushi-Shi",
                kind="TV",
                year=2005,
                score=4.25,
            ),
            replace(
                DESCRIBED,
                rank=3,
                item_id=205,
                title="<b>Bold</b> & [red]Brash[/red]",
                title_english=None,
                kind="TV",
                year=None,
                genres=(),
                score=1.0,
            ),
        ]


def test_a_list_has_at_most_the_requested_length(path: Path) -> None:
    with PublishedFile(path) as published:
        assert [item.item_id for item in published.recommendations(7, 2)] == [100, 310]


def test_a_kind_is_found_in_any_case_and_keeps_the_ranks_of_the_whole_list(path: Path) -> None:
    with PublishedFile(path) as published:
        assert [(item.rank, item.item_id) for item in published.recommendations(7, 10, "tv")] == [(2, 310), (3, 205)]


def test_a_user_who_already_has_every_item_has_an_empty_list(path: Path) -> None:
    with PublishedFile(path) as published:
        assert published.recommendations(12, 10) == []


def test_a_list_without_an_item_of_the_kind_is_empty(path: Path) -> None:
    with PublishedFile(path) as published:
        assert published.recommendations(40, 10, "OVA") == []


@pytest.mark.parametrize("user", [8, -1, 2**63, 10**40], ids=str)
def test_the_message_about_an_unknown_user_names_known_ones(path: Path, user: int) -> None:
    with (
        PublishedFile(path) as published,
        pytest.raises(
            UsageError,
            match=f"unknown user {user} in anime; known: 4 users with ids from 7 to 40, such as 7, 11, 12",
        ),
    ):
        published.recommendations(user, 10)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The small publication with text ids; an item's id has a # in it."""
    path = tmp_path / "shop.duckdb"
    ids = [f"sku#{number}" for number in ITEM_IDS]
    publish_small(
        path,
        user_ids=np.array(["bo", "Ada", "a@b", "cy"], object),
        item_ids=np.array(ids, object),
        items=items_table([item | {"item_id": f"sku#{item['item_id']}", "title": None} for item in ITEMS]),
        lists=small_lists_of(["bo", "Ada", "a@b", "cy"]),
        provenance=replace(provenance(), user_ids="text", item_ids="text"),
    )
    return path


def small_lists_of(user_ids: list[str]) -> list[tuple[np.ndarray, TopN]]:
    """Return the blocks of `small_lists` in rising order of the users' texts, a user each."""
    users = {
        int(user): TopN(top.items[[row]], top.scores[[row]])
        for block, top in small_lists()
        for row, user in enumerate(block)
    }
    order = sorted(users, key=lambda user: user_ids[user])
    return [(np.array([user], np.int32), users[user]) for user in order]


def test_text_ids_are_looked_up_and_given_as_the_source_writes_them(shop: Path) -> None:
    with PublishedFile(shop) as published:
        assert published.users_with_lists(9) == ["Ada", "a@b", "bo"]
        first = published.recommendations(published.find_user("Ada", lambda _: None), 1)[0]
        assert (first.item_id, first.title) == ("sku#100", "#sku#100")
        assert published.indices().item_ids == ("sku#310", "sku#100", "sku#205", "sku#999")
        for unknown in ("ada", "7"):
            message = f"unknown user '{unknown}' in anime; known: 4 users with ids from Ada to cy, such as Ada, a@b, bo"
            with pytest.raises(UsageError, match=message.replace("anime", "shop")):
                published.find_user(unknown, lambda _: None)
        with pytest.raises(UsageError, match="unknown user 7 in shop"):
            published.recommendations(7, 1)


def test_an_item_is_found_by_its_text_id(shop: Path) -> None:
    with PublishedFile(shop) as published:
        finder = ItemFinder(published.named_items())
    assert finder.find("#sku#205").item_id == finder.find("something else #sku#205").item_id == "sku#205"


def test_a_user_whose_name_was_replaced_is_found_by_name_and_by_number(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path, provenance=replace(provenance(), user_ids="pseudonym"))
    numbers = {"Ada": 11, "40": 7}
    with PublishedFile(path) as published:
        assert published.find_user("Ada", numbers.get) == published.find_user("11", numbers.get) == 11
        assert published.find_user("40", numbers.get) == 40, "a number of the file is taken for what it is"
        for unknown in ("Bo", "8"):
            with pytest.raises(UsageError, match=rf"unknown user '?{unknown}'? in anime"):
                published.find_user(unknown, numbers.get)


def test_a_name_means_nothing_where_no_names_were_replaced(path: Path) -> None:
    with PublishedFile(path) as published, pytest.raises(UsageError, match="unknown user 'Ada' in anime"):
        published.find_user("Ada", {"Ada": 11}.get)


def test_a_file_of_before_ids_could_be_texts_is_read(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE provenance DROP COLUMN user_ids")
        connection.execute("ALTER TABLE provenance DROP COLUMN item_ids")
    with PublishedFile(path) as published:
        assert (published.provenance().user_ids, published.find_user("40", lambda _: None)) == ("integer", 40)


def test_the_message_about_an_unknown_kind_names_the_known_ones(path: Path) -> None:
    with (
        PublishedFile(path) as published,
        pytest.raises(UsageError, match="unknown kind 'Opera' in anime; known: Movie, OVA, TV"),
    ):
        published.recommendations(7, 10, "Opera")


def test_the_message_about_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match=r"movie\.duckdb: nothing is published .* `recsys run --domain movie` first"):
        PublishedFile(tmp_path / "movie.duckdb")


@pytest.mark.parametrize(
    "content", ["", "not a database, but as long as one would have to be " * 100], ids=["empty", "text"]
)
def test_a_file_that_is_no_database_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "movie.duckdb"
    path.write_text(content)
    with pytest.raises(RecsysError, match=r"^[^\n]*movie\.duckdb: [^\n]*run `recsys run --domain movie`[^\n]*$"):
        PublishedFile(path)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_file_cut_short_is_one_line(path: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "anime.duckdb"
    content = path.read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    with (
        pytest.raises(RecsysError, match=r"^[^\n]*anime\.duckdb: not a readable published file[^\n]*$"),
        PublishedFile(cut) as published,
    ):
        published.provenance()
        published.recommendations(7, 10)
        published.named_items()
        published.metrics("test")


def test_a_file_with_damaged_blocks_is_one_line(path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "anime.duckdb"
    content = bytearray(path.read_bytes())
    content[12_288 + 8 :: 4096] = bytes(255 - byte for byte in content[12_288 + 8 :: 4096])
    damaged.write_bytes(content)
    with (
        pytest.raises(RecsysError, match=r"^[^\n]*anime\.duckdb: not a readable published file[^\n]*$"),
        PublishedFile(damaged) as published,
    ):
        published.recommendations(7, 10)


def test_a_database_of_something_else_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "movie.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE recommendations (i INTEGER)")
    with pytest.raises(RecsysError, match=r"movie\.duckdb: a DuckDB database, but not one that this project published"):
        PublishedFile(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "DROP TABLE format_version",
            "published by an earlier version of this project; run `recsys run --domain anime`",
        ),
        ("UPDATE format_version SET version = 99", "has format version 99, but this version of the project reads 4; "),
        ("DELETE FROM format_version", "has format version none, but"),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "anime.duckdb"
    publish_small(path)
    with duckdb.connect(path) as connection:
        connection.execute(change)
    with pytest.raises(RecsysError, match=message):
        PublishedFile(path)


def test_an_item_without_a_title_is_named_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "anime.duckdb"
    source_ids = {100: "sku-1"}
    blank = {100: None, 205: " \u3000", 310: "", 999: "\x1b"}
    publish_small(
        path,
        items=items_table(
            [item | {"title": blank[item["item_id"]], "source_id": source_ids.get(item["item_id"])} for item in ITEMS]
        ),
    )
    with PublishedFile(path) as published:
        assert [item.title for item in published.recommendations(7, 10)] == ["#sku-1", "#310", "#205"]
        assert [item.title for item in published.describe([999, 100], [2.0, 1.0])] == ["#999", "#sku-1"]
        assert {item.title for item in published.named_items()} == {"#sku-1", "#205", "#310", "#999"}


def test_provenance_comes_back_as_it_was_published(path: Path) -> None:
    with PublishedFile(path) as published:
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
from recsys_dagster.serving.lookup import PublishedFile
with PublishedFile(Path({str(path)!r})) as published:
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
        with PublishedFile(path) as published:
            answers.append(len(published.recommendations(7, 10)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [3] * 8
