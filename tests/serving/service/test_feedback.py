"""What users did with their lists is kept, and nothing that was acknowledged is lost."""

import signal
from pathlib import Path

import httpx
import pytest
from running_service import Serve, serving_process
from typed_command import Typed

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.feedback import FeedbackSpool, click_through
from recsys_dagster.settings import Settings

CLICKS = Settings.model_fields["feedback_events"].default
CLICK = {"user_id": 7, "item_id": 310, "event": "click"}


def test_clicks_are_laid_to_the_list_and_the_position_that_they_came_from(serve: Serve, home: Path) -> None:
    client = serve(feedback=True)
    for _ in range(4):
        listed = client.get("/v1/anime/users/7/recommendations", params={"n": 2}).json()
    for _ in range(2):  # a second click on the same item counts once
        answer = client.post("/v1/anime/feedback", json=CLICK | {"list_id": listed["list_id"]})
        assert answer.status_code == 201
    client.post("/v1/anime/feedback", json=CLICK | {"list_id": listed["list_id"], "item_id": 100, "event": "seen"})
    first, second = click_through(Layout(home), "anime", CLICKS)
    assert (first.model, first.position, first.shown, first.clicked) == ("popularity", 1, 4, 0)
    assert (second.position, second.shown, second.clicked, second.share) == (2, 4, 1, 0.25)
    assert 0 < second.low < 0.25 < second.high < 1


def test_feedback_is_off_unless_it_is_asked_for(serve: Serve, home: Path) -> None:
    client = serve()
    client.get("/v1/anime/users/7/recommendations")
    assert client.post("/v1/anime/feedback", json=CLICK).status_code == 404
    assert not (home / "feedback").exists()


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (CLICK | {"item_id": 12345}, 404),
        (CLICK | {"event": "DROP TABLE"}, 422),
        (CLICK | {"list_id": "../../etc"}, 422),
        (CLICK | {"time": "yesterday"}, 422),
        (CLICK | {"time": "2999-01-01T00:00:00Z"}, 422),
        (CLICK | {"user_id": "bob"}, 422),
        (CLICK | {"user_id": ""}, 422),
        (CLICK | {"rating": 11}, 422),
        ({"user_id": 7}, 422),
    ],
)
def test_events_that_mean_nothing_are_refused(serve: Serve, event: dict, status: int) -> None:
    assert serve(feedback=True).post("/v1/anime/feedback", json=event).status_code == status


def test_a_line_that_a_killed_process_wrote_in_part_is_ignored(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    spool = FeedbackSpool(layout)
    spool.add_list("anime", {"list_id": "a1", "model": "ease", "items": [310]})
    spool.add_event("anime", CLICK | {"list_id": "a1"})
    for path in layout.feedback("anime").iterdir():
        with path.open("ab") as file:
            file.write(b'{"list_id": "b2", "mod')
    (row,) = click_through(layout, "anime", CLICKS)
    assert (row.shown, row.clicked) == (1, 1)


def test_every_acknowledged_event_is_there_after_the_service_was_killed(home: Path) -> None:
    with serving_process(home, RECSYS_FEEDBACK="on") as (service, url), httpx.Client(base_url=url) as client:
        for _ in range(25):
            assert client.post("/v1/anime/feedback", json=CLICK).status_code == 201
        service.send_signal(signal.SIGKILL)
    (path,) = (home / "feedback" / "anime").glob("events-*.jsonl")
    assert path.read_bytes().count(b"\n") == 25


def test_the_command_shows_the_click_through(
    serve: Serve, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(home))
    assert "No list of anime was served" in Typed(capsys, "feedback", "--domain", "anime").out
    serve(feedback=True).get("/v1/anime/users/7/recommendations", params={"n": 1})
    assert "popularity         1      1        0  0.0000" in Typed(capsys, "feedback", "--domain", "anime").out
