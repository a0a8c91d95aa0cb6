"""Guard every request: the token, the size of the body, the time; measure it, and log it without personal data."""

import asyncio
import hmac
import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys_dagster.serving.service.measures import Measures
from recsys_dagster.serving.service.problems import problem_response

MAX_BODY_BYTES = 64 * 1024
REQUEST_SECONDS = 10.0
"""Time after which a request is answered with 503."""
OPEN_ROUTES = ("/healthz", "/readyz")
"""Need no token, so that an orchestrator can ask."""

_log = logging.getLogger("recsys.access")


class _BodyTooLargeError(Exception):
    """A body was longer than MAX_BODY_BYTES."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, measures: Measures, token: str | None) -> None:
        self._app = app
        self._measures = measures
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._handle(scope, receive, send_noting)
        except (_BodyTooLargeError, TimeoutError) as error:
            if status == 0:
                await _refuse(error, scope, receive, send_noting)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unknown")
            self._measures.note_request(route, status, seconds)
            _log.info("%s %s %d %.1f ms", scope["method"], route, status, 1000 * seconds)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if self._token is not None and scope["path"] not in OPEN_ROUTES and not self._is_allowed(headers):
            answer = problem_response(
                HTTPStatus.UNAUTHORIZED, "send the header `Authorization: Bearer <token>`", "Authorization",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
            await answer(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise _BodyTooLargeError
        async with asyncio.timeout(REQUEST_SECONDS):
            await self._app(scope, await _read(receive) if scope["method"] == "POST" else receive, send)

    def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token or b"")


async def _read(receive: Receive) -> Receive:
    """Read the body, and return a channel that gives it to the application; raise _BodyTooLargeError if it is long."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLargeError
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    messages: list[Message] = (
        [{"type": "http.request", "body": body}] if message["type"] == "http.request" else [message]
    )

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    if isinstance(error, TimeoutError):
        answer = problem_response(HTTPStatus.SERVICE_UNAVAILABLE, f"no answer within {REQUEST_SECONDS:g} s")
    else:
        answer = problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY_BYTES:,} bytes")
    await answer(scope, receive, send)
