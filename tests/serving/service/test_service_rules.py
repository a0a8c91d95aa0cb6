"""What the service lists by the rules of a domain, and by the balance that a request asks for."""

import time
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from running_service import Serve
from small_publication import ITEMS, items_table, publish_small

pytestmark = pytest.mark.usefixtures("compiled")

LIST = "/v1/anime/users/7/recommendations"


def titles(answer: httpx.Response) -> list[str]:
    return [item["title"] for item in answer.json()["recommendations"]]


def wait_for(client: httpx.Client, expected: list[str]) -> None:
    """Wait until user 7 has this list; the service looks at the rules each second."""
    deadline = time.monotonic() + 30
    while (found := titles(client.get(LIST))) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture
def rules(home: Path) -> Path:
    file = home / "rules" / "anime.yaml"
    file.parent.mkdir()
    return file


BOLD = "<b>Bold</b> & [red]Brash[/red]"


def test_rules_hold_for_lists_that_were_published_before_and_follow_their_file(serve: Serve, rules: Path) -> None:
    client = serve()
    assert titles(client.get(LIST)) == ["Kimi no Na wa.", "Mushishi", BOLD]
    rules.write_text("never: {items: [310]}")
    wait_for(client, ["Kimi no Na wa.", BOLD])
    popular = client.get("/v1/anime/items/popular").json()["items"]
    assert 310 not in [item["item_id"] for item in popular]
    unknown = client.get("/v1/anime/users/nobody/recommendations")
    assert "Mushishi" not in titles(unknown)
    rules.write_text("caps: {genre: {Drama: 1}}")
    wait_for(client, ["Kimi no Na wa.", BOLD])
    rules.write_text("never: [")  # a fault: the rules read before stay
    time.sleep(2.5)
    assert titles(client.get(LIST)) == ["Kimi no Na wa.", BOLD]
    rules.unlink()
    wait_for(client, ["Kimi no Na wa.", "Mushishi", BOLD])


def test_a_domain_whose_rules_were_never_readable_is_not_served_until_they_are(serve: Serve, rules: Path) -> None:
    rules.write_text("never: [")
    client = serve()
    assert client.get(LIST).status_code == 503
    rules.write_text("never: {items: [100]}")
    deadline = time.monotonic() + 30
    while client.get(LIST).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert titles(client.get(LIST)) == ["Mushishi", BOLD]


def test_a_request_for_diversity_takes_other_genres_first(serve: Serve, home: Path) -> None:
    genres = {100: ["Drama"], 310: ["Drama"], 205: ["Action"], 999: ["Action"]}
    table = items_table()
    column = table.schema.get_field_index("genres")
    publish_small(
        home / "published" / "anime.duckdb",
        items=table.set_column(column, "genres", [[genres[item["item_id"]] for item in ITEMS]]),
        genre_names=["Action", "Drama"],
    )
    client = serve()
    # Scores 4.5, 4.25 and 1 become 1, .929 and 0: with d = .5 the second drama has .464 − .5, the action 0.
    assert titles(client.get(LIST, params={"diversity": 0.5})) == ["Kimi no Na wa.", BOLD, "Mushishi"]
    for params in ({}, {"diversity": 0}, {"diversity": 0.2}):
        assert titles(client.get(LIST, params=params)) == ["Kimi no Na wa.", "Mushishi", BOLD]
    assert [item["rank"] for item in client.get(LIST, params={"diversity": 0.5}).json()["recommendations"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"diversity": -1}, "diversity"),
        ({"calibration": "nan"}, "calibration"),
        ({"diversity": 0.9, "calibration": 0.2}, "diversity"),
    ],
)
def test_impossible_weights_are_refused_with_the_field(serve: Serve, params: dict, field: str) -> None:
    answer = serve().get(LIST, params=params)
    assert answer.status_code == 422
    assert field in answer.json()["field"]


def test_without_genres_a_request_for_diversity_is_refused(serve: Serve, home: Path) -> None:
    table = items_table()
    column = table.schema.get_field_index("genres")
    nothing = pa.array([None for _ in ITEMS], pa.list_(pa.string()))
    without = table.set_column(column, "genres", nothing)
    publish_small(home / "published" / "anime.duckdb", items=without, genre_names=[])
    answer = serve().get(LIST, params={"diversity": 0.5})
    assert answer.status_code == 422
    assert "no item of this domain has genres" in answer.json()["detail"]
