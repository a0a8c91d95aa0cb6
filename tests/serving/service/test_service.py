"""The service as a client sees it, over HTTP."""

import threading
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_service import TOKEN, Serve
from small_publication import provenance, publish_small, publish_wide

from recsys_dagster.models.base import TopN
from recsys_dagster.serving.service import publications
from recsys_dagster.warehouse.database import pseudonym


def titles(answer: httpx.Response, name: str = "recommendations") -> list[str]:
    return [item["title"] for item in answer.json()[name]]


def test_a_user_gets_the_published_list_with_the_fields_of_the_items(serve: Serve) -> None:
    answer = serve().get("/v1/anime/users/7/recommendations", params={"n": 2})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["domain"], body["user_id"], body["model"]) == ("anime", 7, "popularity")
    assert body["recommendations"] == [
        {
            "rank": 1, "item_id": 100, "title": "Kimi no Na wa.", "title_english": "Your Name.", "kind": "Movie",
            "year": 2016, "genres": ["Drama", "Slice of Life"], "creators": None, "image_url": None,
            "is_adult": False, "score": 4.5,
        },
        {
            "rank": 2, "item_id": 310, "title": "Mushishi", "title_english": "Mushi-Shi", "kind": "TV", "year": 2005,
            "genres": ["Drama", "Slice of Life"], "creators": None, "image_url": None, "is_adult": False,
            "score": 4.25,
        },
    ]  # fmt: skip


def test_an_unknown_user_gets_popular_items_and_the_answer_says_so(serve: Serve) -> None:
    client = serve()
    for user in ("99999", "nobody@example.org", str(10**30)):
        answer = client.get(f"/v1/anime/users/{user}/recommendations")
        assert answer.status_code == 200
        assert answer.json()["fallback"] == "popular"
        assert answer.json()["user_id"] == user
        assert len(titles(answer)) == 4
    assert 'recsys_fallbacks_total{domain="anime"} 3.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"kind": "tv"}, ["Mushishi", "<b>Bold</b> & [red]Brash[/red]"]),
        ({"genre": "slice of life"}, ["Kimi no Na wa.", "Mushishi"]),
        ({"year_from": 2010}, ["Kimi no Na wa."]),
        ({"exclude": ["100", "310"]}, ["<b>Bold</b> & [red]Brash[/red]"]),
    ],
)
def test_filters_choose_among_the_items(serve: Serve, parameters: dict, expected: list[str]) -> None:
    assert titles(serve().get("/v1/anime/users/7/recommendations", params=parameters)) == expected


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/books/users/7/recommendations", 404, "domain"),
        ("/v1/anime/users/7/recommendations?n=-1", 422, "n"),
        ("/v1/anime/users/7/recommendations?n=1000000", 422, "n"),
        ("/v1/anime/users/7/recommendations?kind=Opera", 422, "kind"),
        ("/v1/anime/items?query=", 422, "query"),
        ("/v1/anime/items/popular?window=8", 422, "window"),
        ("/v1/anime/items/popular?window=0", 422, "window"),
        ("/v1/anime/items/popular?window=week", 422, "window"),
        ("/nothing/here", 404, None),
    ],
)
def test_bad_input_is_answered_with_problem_details(serve: Serve, path: str, status: int, field: str | None) -> None:
    answer = serve().get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem.get("field") == field
    assert problem["detail"]


def test_items_are_found_by_name_and_listed_by_popularity(serve: Serve) -> None:
    client = serve()
    found = client.get("/v1/anime/items", params={"query": "mushi"}).json()["items"]
    assert [item["item_id"] for item in found] == [310]
    assert titles(client.get("/v1/anime/items/popular", params={"n": 2}), "items") == ["Kimi no Na wa.", "Mushishi"]
    lately = client.get("/v1/anime/items/popular", params={"window": 7})
    assert titles(lately, "items") == ["<b>Bold</b> & [red]Brash[/red]", "Mushishi"]
    assert lately.json()["window"] == 7


def test_the_leaderboard_has_intervals_and_names_the_champion(serve: Serve) -> None:
    board = serve().get("/v1/anime/leaderboard").json()
    assert board["champion"] == "popularity"
    (row,) = board["metrics"]
    assert (row["metric"], row["k"], row["value"], row["low"], row["high"]) == ("ndcg", 10, 0.25, 0.2, 0.3)


def test_before_the_first_publication_the_service_is_alive_and_not_ready(serve: Serve, home: Path) -> None:
    (home / "published" / "anime.duckdb").unlink()
    client = serve()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/v1/anime/users/7/recommendations").status_code == 503


def test_each_new_publication_is_followed_without_a_failed_or_mixed_answer(
    serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publications, "POLL_SECONDS", 0.05)
    path = home / "published" / "anime.duckdb"
    publish_wide(path, "v1")
    client = serve()
    seen: set[str] = set()
    faults: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = client.get("/v1/anime/users/3/recommendations", params={"n": 20})
            body = answer.json()
            numbers = {f"v{item['score']:g}" for item in body["recommendations"]}
            if answer.status_code != 200 or numbers != {body["version"]}:
                faults.append(answer.text)
            seen.add(body["version"])

    asking = threading.Thread(target=ask)
    asking.start()
    for number in (2, 3, 4):
        publish_wide(path, f"v{number}")
        for _ in range(600):
            if f"v{number}" in seen:
                break
            stop.wait(0.05)
    stop.set()
    asking.join()
    assert faults == []
    assert seen == {"v1", "v2", "v3", "v4"}


def test_a_damaged_file_leaves_the_lists_that_were_read_before(
    serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publications, "POLL_SECONDS", 0.05)
    client = serve()
    damaged = home / "damaged"
    damaged.write_bytes(b"no database")
    damaged.replace(home / "published" / "anime.duckdb")
    threading.Event().wait(0.5)
    assert len(titles(client.get("/v1/anime/users/7/recommendations"))) == 3
    publish_small(home / "published" / "anime.duckdb")
    assert client.get("/readyz").json() == {"domains": ["anime"]}


def test_a_token_is_asked_for_except_by_the_probes(serve: Serve) -> None:
    client = serve(serve_token=TOKEN)
    path = "/v1/anime/users/7/recommendations"
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_other_origins_are_allowed_only_if_they_are_named(serve: Serve) -> None:
    headers = {"Origin": "https://shop.example"}
    assert "access-control-allow-origin" not in serve().get("/v1/domains", headers=headers).headers
    allowed = serve(serve_cors=("https://shop.example",)).get("/v1/domains", headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_long_body_is_refused_with_and_without_a_length(serve: Serve) -> None:
    client = serve()
    body = b'{"history": [' + b" " * 100_000 + b"]}"
    assert client.post("/v1/anime/recommendations", content=body).status_code == 413
    assert client.post("/v1/anime/recommendations", content=iter([body])).status_code == 413


def test_the_schema_describes_every_endpoint(serve: Serve) -> None:
    paths = serve().get("/openapi.json").json()["paths"]
    assert "/v1/{domain}/users/{user_id}/recommendations" in paths
    assert all(operation["description"] for path in paths.values() for operation in path.values())


def test_a_user_whose_name_was_replaced_is_found_by_the_name(serve: Serve, home: Path) -> None:
    key = "a secret of at least 16 characters"
    number = pseudonym("alice", key.encode())
    user_ids = np.array([40, 7, number, 12], dtype=np.int64)
    top = TopN(np.tile(np.array([1, 0, 2], np.int32), (4, 1)), np.tile(np.array([3, 2, 1], np.float32), (4, 1)))
    publish_small(
        home / "published" / "anime.duckdb",
        lists=[(np.array([1, 3, 0, 2], np.int32), top)],
        user_ids=user_ids,
        provenance=replace(provenance(), user_ids="pseudonym"),
    )
    client = serve(pseudonym_key=key, feedback=True)
    answer = client.get("/v1/anime/users/alice/recommendations").json()
    assert (answer["user_id"], "fallback" in answer) == (number, False)
    assert client.get("/v1/anime/users/7/recommendations").json()["user_id"] == 7
    stranger = client.get("/v1/anime/users/bob/recommendations").json()
    assert (stranger["user_id"], stranger["fallback"]) == ("bob", "popular")
    for name in ("alice", "bob"):
        event = {"user_id": name, "item_id": 310, "event": "click"}
        assert client.post("/v1/anime/feedback", json=event).status_code == 201
    stored = b"".join(path.read_bytes() for path in (home / "feedback" / "anime").iterdir())
    assert str(number).encode() in stored
    assert str(pseudonym("bob", key.encode())).encode() in stored
    assert b"alice" not in stored
    assert b"bob" not in stored
