"""Two hundred seeded requests that no client should make."""

import gc
import json
import random
import re
from collections.abc import Callable

import httpx
import pytest
from running_service import Serve

WORDS = (
    "",
    "-1",
    "1e9",
    "NaN",
    "null",
    "true",
    "ü",
    "%00",
    "../../etc/passwd",
    "'; DROP TABLE items",
    "<script>",
    "9" * 40,
)
VALUES = (None, True, -1, 1e300, "x" * 2000, [], {}, [[]], {"a": {}}, "\u0000", [None] * 2000)
LIST = "/v1/anime/users/7/recommendations"


def bad_query(rng: random.Random) -> httpx.Request:
    name, value = rng.choice(("n", "year_from", "include_adult", "kind", "genre")), rng.choice(WORDS)
    if name == "include_adult" and value in ("true", "-1", "1e9"):
        value = "maybe"
    return httpx.Request("GET", LIST, params={name: value})


def bad_path(rng: random.Random) -> httpx.Request:
    parts = [rng.choice(("v1", "v2", "anime", "books", "users", "items", "similar", "\u202e")) for _ in range(4)]
    return httpx.Request("GET", f"/nothing/{'/'.join(parts)}")


def bad_method(rng: random.Random) -> httpx.Request:
    return httpx.Request(rng.choice(("DELETE", "PUT", "PATCH", "TRACE")), LIST)


def bad_body(rng: random.Random) -> httpx.Request:
    path = rng.choice(("/v1/anime/recommendations", "/v1/anime/feedback"))
    content = rng.choice(
        (
            b"",
            b"{",
            b"\xff\xfe",
            b"[" * 5000,
            json.dumps({rng.choice(("history", "tastes", "n", "user_id", "odd")): rng.choice(VALUES)}).encode(),
            json.dumps({"history": [{"item": rng.choice(VALUES), "rating": rng.choice(VALUES)}]}).encode(),
            b'{"history": [{"item": 310, "rating": 1e999}]}',
        )
    )
    return httpx.Request(
        "POST", path, content=content, headers={"Content-Type": rng.choice(("application/json", "text/x"))}
    )


@pytest.mark.parametrize("kind", [bad_query, bad_path, bad_method, bad_body])
def test_malformed_requests_are_refused_and_the_service_goes_on_without_growing(
    serve: Serve, kind: Callable[[random.Random], httpx.Request], capfd: pytest.CaptureFixture[str]
) -> None:
    client = serve(feedback=True)

    def send_fifty() -> tuple[int, str]:
        """Send the same requests each time; return how many objects there are, and the names of all series."""
        rng = random.Random(kind.__name__)
        for _ in range(50):
            request = kind(rng)
            url = str(client.base_url).rstrip("/") + str(request.url)
            answer = client.send(httpx.Request(request.method, url, headers=request.headers, content=request.content))
            assert 400 <= answer.status_code < 500, (
                request.method,
                request.url,
                request.content[:200],
                answer.text[:300],
            )
            assert "Traceback" not in answer.text
        series = re.sub(r" \S+$", "", client.get("/metrics").text, flags=re.MULTILINE)
        gc.collect()
        return len(gc.get_objects()), series

    send_fifty()
    objects, series = send_fifty()
    more, same = send_fifty()
    assert same == series
    assert more - objects < 50
    assert client.get(LIST).status_code == 200
    assert "Traceback" not in capfd.readouterr().err
