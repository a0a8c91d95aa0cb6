"""A chat service on loopback that keeps what it is told."""

import http.server
import json
from collections.abc import Iterator

import pytest
from loopback import serving


class Webhook(http.server.ThreadingHTTPServer):
    """Takes JSON by POST; answers with each of `answers` in turn, then with 200.

    Attributes:
        told: the `text` of each message that was taken.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.told: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-token"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code = self.server.answers.pop(0) if self.server.answers else 200
        if code == 200:
            self.server.told.append(json.loads(body)["text"])
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The tests' output is not the place."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serving(Webhook()) as server:
        yield server
