"""A web server on the loopback interface with planned failures."""

import hashlib
import http.server
import threading
from collections import defaultdict
from dataclasses import dataclass


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


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path, with ranges and ETags; requests for a path fail as its plan says, one after the other."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.plans: defaultdict[str, list[Status | Cut | Stall]] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.sent = 0
        self.ranges = True
        self.validators = True
        self.lengths = True
        self.stalled = threading.Event()
        self.released = threading.Event()

    def handle_error(self, *args: object) -> None:
        """Print no traceback when the client closes the connection."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges_of(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path, in order."""
        return [wanted for requested, wanted in self.requests if requested == path]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        fault = server.plans[self.path].pop(0) if server.plans[self.path] else None
        if isinstance(fault, Status):
            self.send_empty(fault.code)
        elif self.path not in server.files:
            self.send_empty(404)
        else:
            self.send_file(server.files[self.path], wanted, fault)

    def send_file(self, body: bytes, wanted: str | None, fault: Cut | Stall | None) -> None:
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

    def send_body(self, body: bytes, fault: Cut | Stall | None) -> None:
        part = body if fault is None else body[: fault.after]
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
