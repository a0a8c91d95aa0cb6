"""The rules of a domain: read, refused, applied to items and to published lists."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from small_publication import ITEMS, items_table, publish_small

from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import TopN
from recsys_dagster.serving.item_rules import ItemRules
from recsys_dagster.serving.rule_hits import rule_hits
from recsys_dagster.serving.rules import Balance, check_names, read_rules

DAY = date(2026, 6, 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "movie.yaml"


def item(item_id: int | str, *genres: str, adult: bool | None = None, creators: tuple[str, ...] = ()) -> dict:
    return {"item_id": item_id, "genres": list(genres) or None, "creators": list(creators) or None, "is_adult": adult}


def test_each_rule_forbids_what_it_says_and_an_exception_is_allowed(file: Path) -> None:
    file.write_text(
        "never:\n  items: [42, sku-9]\n  genres: [horror]\n  adult: true\n"
        "  unavailable_since: {17: 2026-06-01, 18: 2026-06-02, 19: 2026}\nalways:\n  items: [7]\n"
    )
    rules = read_rules(file)

    def rule(one: dict) -> str | None:
        return rules.forbids(one, DAY)

    assert rule(item(42)) == "never.items"
    assert rule(item("sku-9")) == "never.items"
    assert rule(item(1, "Drama", "Horror")) == "never.genres: horror"
    assert rule(item(2, adult=True)) == "never.adult"
    assert [rule(item(one)) is None for one in (17, 18, 19)] == [False, True, False]
    assert rule(item(7, "Horror", adult=True)) is None
    assert rule(item(8, "Drama", adult=False)) is None
    assert rule(item(9)) is None


def test_without_a_file_or_with_an_empty_one_there_are_no_rules(file: Path) -> None:
    assert not read_rules(file)
    for text in ("", "# nothing yet\n", "never:\ncaps:\n"):
        file.write_text(text)
        assert not read_rules(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("never: [", ", line 1: not readable as YAML"),
        ("- 1", "expected sections such as `never:`"),
        ("nevr: {}", "nevr is not a rule; did you mean never?"),
        ("never: {genre: [Horror]}", "never.genre is not a rule; did you mean genres?"),
        ("never: {genres: Horror}", r"never.genres: expected a list of genres, such as \[Horror\]"),
        ("never: {items: [1.5]}", "never.items: expected a list of ids"),
        ("never: {items: [true]}", "never.items: expected a list of ids"),
        ("never: {adult: 1}", "never.adult: expected true or false"),
        ("never: {unavailable_since: {17: soon}}", "never.unavailable_since: expected a day or a year by id"),
        ("never: 7", "never: expected lines such as"),
        ("caps: {genre: {Drama: 0}}", "caps.genre: expected a number of items by genre, at least 1"),
        ("balance: {diversity: 2}", "balance.diversity: expected a number from 0 to 1"),
        ("balance: {diversity: .6, calibration: .6}", "balance: diversity and calibration together are more than 1"),
        ("never: {items: [5]}\nalways: {items: [5]}", "always.items: 5 is in never.items too"),
    ],
)
def test_a_faulty_file_is_one_line_with_the_file_the_rule_and_the_cure(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(RecsysError, match=message) as caught:
        read_rules(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_genre_that_no_item_has_is_refused_because_the_rule_would_do_nothing(file: Path) -> None:
    file.write_text("never: {genres: [Horor]}")
    with pytest.raises(RecsysError, match=r"never\.genres: no item has the genre 'Horor'; known: Drama, Horror"):
        check_names(read_rules(file), ["Horror", "Drama"], file)
    file.write_text('caps: {genre: {drama: 1, "*": 3}}')
    check_names(read_rules(file), ["Horror", "Drama"], file)


def test_lists_hold_no_forbidden_item_stay_full_and_keep_within_caps(file: Path) -> None:
    file.write_text('never: {items: [0]}\ncaps: {creator: {"*": 2, Ada: 1}}\n')
    items = [item(number, creators=("Ada",) if number < 4 else ("Bo",)) for number in range(8)]
    items += [item(number) for number in range(8, 12)]
    rules = ItemRules.of(read_rules(file), items, DAY)
    assert rules.allowed.tolist() == [False] + 11 * [True]
    assert rules.balance == Balance()

    def take(rows: np.ndarray, k: int) -> TopN:
        listed = np.flatnonzero(rules.allowed)[:k].astype(np.int32)
        return TopN(np.tile(listed, (len(rows), 1)), np.tile(-listed.astype(np.float32), (len(rows), 1)))

    assert rules.lists(take, 1, 6).items.tolist() == [[1, 4, 5, 8, 9, 10]]


def test_the_hits_in_published_lists_are_counted_by_rule(file: Path, tmp_path: Path) -> None:
    # Lists: user 7 has 100, 310, 205; user 11 has 205, 100; user 40 has 310.
    path = tmp_path / "anime.duckdb"
    genres = {100: ["Drama"], 205: None, 310: ["Drama", "Mystery"], 999: ["Mystery"]}
    table = items_table(ITEMS)
    column = table.schema.get_field_index("genres")
    table = table.set_column(column, "genres", [[genres[one["item_id"]] for one in ITEMS]])
    publish_small(path, items=table)
    file.write_text("never: {items: [205, 5], genres: [mystery]}\ncaps: {genre: {Drama: 1}}\n")
    hits = rule_hits(path, read_rules(file))
    assert hits.items == {"never.items": 1, "never.genres: mystery": 2}
    assert hits.entries == {"never.items": 2, "never.genres: mystery": 2}
    assert hits.over_caps == 1  # user 7 has two dramas
    assert hits.unknown == ["5"]
