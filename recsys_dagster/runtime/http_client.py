"""Make HTTP requests that end by a deadline, do not leave HTTPS, and do not put URLs into logs."""

import contextlib
import functools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import httpx

CONNECT_SECONDS = 10
READ_SECONDS = 30
"""Longest wait for the next bytes of an answer."""


class UnsafeRedirectError(httpx.RequestError):
    """A server redirected from HTTPS to an address without encryption."""


class Deadline:
    """A time limit for everything that a `with` block does over HTTP.

    A read timeout alone does not bound a request: a server may send a byte whenever it is about to expire. At the
    deadline the connections are shut down, which ends a blocked read in any thread.

    Attributes:
        seconds: the limit.
        expired: whether it has been reached.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._ends = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._guard = threading.Lock()
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._ends - time.monotonic())

    def check(self) -> None:
        """Raise httpx.ReadTimeout if the deadline has been reached."""
        if self.expired:
            raise httpx.ReadTimeout(f"no complete answer within {self.seconds:g} seconds")

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember a new connection; httpcore calls this function for each step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._guard:
                self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.expired:
                self._expire()

    def _expire(self) -> None:
        self.expired = True
        with self._guard:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def open_response(
    method: Literal["GET", "HEAD", "POST"],
    url: str,
    deadline: Deadline,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
) -> Iterator[httpx.Response]:
    """Send a request and yield the response, whose body has not been read; redirects are followed, but for POST.

    Raises:
        httpx.HTTPError, httpx.InvalidURL: the request failed, or the deadline was reached; their messages may contain
            secrets of the URL.
        UnsafeRedirectError: the server redirects from HTTPS to an address without encryption.
    """

    def stay_encrypted(request: httpx.Request) -> None:
        if url.lower().startswith("https:") and request.url.scheme != "https":
            raise UnsafeRedirectError("the server redirects to an address without encryption", request=request)

    deadline.check()
    with (
        httpx.Client(
            timeout=httpx.Timeout(min(READ_SECONDS, deadline.seconds), connect=min(CONNECT_SECONDS, deadline.seconds)),
            follow_redirects=method != "POST",
            event_hooks={"request": [stay_encrypted]},
            verify=_certificates(),
        ) as client,
        client.stream(
            method,
            url,
            headers={"Accept-Encoding": "identity", **(headers or {})},
            json=json,
            extensions={"trace": deadline.watch},
        ) as response,
    ):
        yield response


def read_at_most(response: httpx.Response, limit: int, deadline: Deadline) -> bytes:
    """Return the body as it was sent, without decompressing it, cut off after `limit` bytes."""
    body = b""
    for block in response.iter_raw():
        body += block
        deadline.check()
        if len(body) >= limit:
            break
    return body[:limit]


def describe_http_error(error: BaseException) -> str:
    """Describe why a request failed, in a few words without secrets."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered HTTP {error.response.status_code} {error.response.reason_phrase}".rstrip()
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "the address is not valid"
    # The messages of these classes are about the connection, up to a quotation of what the server sent.
    quotable = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, UnsafeRedirectError)
    reason = str(error).partition(": bytearray(")[0] if isinstance(error, quotable) else ""
    return f"{type(error).__name__} ({reason})" if reason else type(error).__name__


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Load the certificates to verify servers with, which takes longer than a request."""
    return httpx.create_ssl_context()


class _OnlyWarnings(logging.Filter):
    """Drop the messages about requests, which quote addresses and headers; either may hold a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


for _name in ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks"))):
    logging.getLogger(_name).addFilter(_OnlyWarnings())
