"""A web server on the loopback interface with planned failures."""

import contextlib
import hashlib
import http.server
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Status:
    """Answer with this status and nothing else."""

    code: int


@dataclass(frozen=True)
class Cut:
    """Close the connection after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class Stall:
    """Send so many bytes of the body and no more until the server is released."""

    after: int


@dataclass(frozen=True)
class Dribble:
    """Send the answer, header included, byte by byte, with a pause after each, until the client has gone."""

    pause: float


@dataclass(frozen=True)
class Endless:
    """Send a body without end, with no length."""


@dataclass(frozen=True)
class Redirect:
    """Redirect to another address."""

    location: str


@dataclass(frozen=True)
class Encoded:
    """Send the body compressed, although that was not asked for."""

    body: bytes


S = TypeVar("S", bound=http.server.HTTPServer)
Fault = Status | Cut | Stall | Dribble | Endless | Redirect | Encoded


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path, with ranges and ETags; requests for a path fail as its plan says, one after the other."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.plans: defaultdict[str, list[Fault]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.authorizations: list[str | None] = []
        self.sent = 0
        self.ranges = True
        self.validators = True
        self.lengths = True
        self.stalled = threading.Event()
        self.released = threading.Event()

    def shutdown(self) -> None:
        """Stop, also what stalls."""
        self.released.set()
        super().shutdown()

    def handle_error(self, *args: object) -> None:
        """Print no traceback when the client closes the connection."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges_of(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path, in order."""
        return [wanted for requested, wanted in self.requests if requested == path]


@contextlib.contextmanager
def serving(server: S) -> Iterator[S]:
    """Let a server answer in a thread during the block, then close it."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        body = self.server.files.get(self.path)
        if body is None:
            self.send_empty(404)
            return
        self.send_response(200)
        if self.server.validators:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:12]}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        server.authorizations.append(self.headers.get("Authorization"))
        fault = server.plans[self.path].pop(0) if server.plans[self.path] else None
        if isinstance(fault, Status):
            self.send_empty(fault.code)
        elif isinstance(fault, Redirect):
            self.send_empty(302, {"Location": fault.location})
        elif isinstance(fault, Dribble):
            self.send_forever(b"HTTP/1.1 200 OK\r\nX-Header: ", 1, fault.pause)
        elif isinstance(fault, Endless):
            self.send_forever(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 2**16, 0)
        elif isinstance(fault, Encoded):
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(fault.body)))
            self.end_headers()
            self.wfile.write(fault.body)
        elif self.path not in server.files:
            self.send_empty(404)
        else:
            self.send_file(server.files[self.path], wanted, fault)

    def send_file(self, body: bytes, wanted: str | None, fault: Fault | None) -> None:
        server = self.server
        etag = f'"{hashlib.sha256(body).hexdigest()[:12]}"'
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_empty(416, {"Content-Range": f"bytes */{len(body)}"})
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if server.validators:
            self.send_header("ETag", etag)
        if server.lengths:
            self.send_header("Content-Length", str(len(body) - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.send_body(body[start:], fault)

    def send_empty(self, code: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_forever(self, start: bytes, size: int, pause: float) -> None:
        """Send `start`, and then blocks until the client closes the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(start)
            while not self.server.released.wait(pause):
                self.wfile.write(b"x" * size)
                self.server.sent += size

    def send_body(self, body: bytes, fault: Fault | None) -> None:
        part = body[: fault.after] if isinstance(fault, Cut | Stall) else body
        try:
            self.wfile.write(part)
            self.wfile.flush()
        except OSError:  # the client has closed the connection, as planned or because its disk is full
            return
        self.server.sent += len(part)
        if isinstance(fault, Stall):
            self.server.stalled.set()
            self.server.released.wait(60)
        if fault is not None:
            self.close_connection = True
