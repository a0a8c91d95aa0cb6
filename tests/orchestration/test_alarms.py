"""Alarms reach the log and the webhook, however the webhook behaves, and show no secret."""

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from webhook import Webhook

from recsys_dagster.errors import RecsysError
from recsys_dagster.orchestration import alarms
from recsys_dagster.orchestration.alarms import raise_alarm
from recsys_dagster.settings import Settings

LOG = logging.getLogger("alarms")


def settings(home: Path, **chosen: object) -> Settings:
    return Settings(home=home, **{"webhook": None, **chosen})


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that handles each connection with `answer`; yields its URL."""
    stopped = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            try:
                answer(connection)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://user:PASSW0RD@127.0.0.1:{listener.getsockname()[1]}/T0KEN?key=T0KEN"
        finally:
            stopped.set()
            thread.join()


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def dribble(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.01)


def redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /T0KEN\r\nContent-Length: 0\r\n\r\n")


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"T0KEN? What T0KEN?\r\n\r\n")


def test_a_failing_webhook_is_tried_again(tmp_path: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    webhook.answers = [503, 503]
    raise_alarm(settings(tmp_path, webhook=webhook.url), "it burns", LOG)
    assert webhook.told == ["it burns"]
    assert caplog.messages == ["it burns"]


def test_without_a_webhook_the_alarm_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raise_alarm(settings(tmp_path), "it burns", LOG)
    assert caplog.messages == ["it burns"]


def test_a_webhook_that_accepts_nothing_is_an_error_without_its_address(tmp_path: Path, webhook: Webhook) -> None:
    webhook.answers = [500] * 3
    message = "RECSYS_WEBHOOK did not take the alarm, tried 3 times: the server answered HTTP 500 .*; it burns"
    with pytest.raises(RecsysError, match=message) as caught:
        raise_alarm(settings(tmp_path, webhook=webhook.url), "it burns", LOG)
    assert "secret-token" not in str(caught.value)
    assert "secret-token" not in repr(settings(tmp_path, webhook=SecretStr(webhook.url)))


def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    with answering(endless) as url:
        began = time.monotonic()
        raise_alarm(settings(tmp_path, webhook=url), "it burns", LOG)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [dribble, redirect, nonsense])
def test_every_bad_answer_ends_in_time_in_one_line_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Callable[..., None]
) -> None:
    monkeypatch.setattr(alarms, "DEADLINE_SECONDS", 1.5)
    began = time.monotonic()
    with (
        answering(answer) as url,
        caplog.at_level(logging.DEBUG),
        pytest.raises(RecsysError, match=r"^RECSYS_WEBHOOK did not take the alarm, tried .*; it burns$") as caught,
    ):
        raise_alarm(settings(tmp_path, webhook=url), "it burns", LOG)
    assert time.monotonic() - began < 10
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "PASSW0RD" not in shown
    assert "T0KEN" not in shown
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_an_error_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/T0KEN"
        with pytest.raises(RecsysError, match=r"tried 3 times: ConnectError \(.*refused\); it burns") as caught:
            raise_alarm(settings(tmp_path, webhook=url), "it burns", LOG)
    assert "T0KEN" not in "".join(traceback.format_exception(caught.value))
