"""Answer errors as problem details (RFC 9457)."""

import json
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from recsys_dagster.errors import RecsysError

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An answer other than success.

    Attributes:
        status: HTTP status.
        detail: what is wrong, in one sentence.
        field: name of the parameter or field that is wrong; empty where none is.
    """

    def __init__(self, status: HTTPStatus, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field


def problem_response(status: int, detail: str, field: str = "", headers: dict[str, str] | None = None) -> Response:
    """Return a response with problem details."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if field:
        content["field"] = field
    return Response(json.dumps(content, ensure_ascii=False), status, headers, MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Let the application answer every error as problem details, without a trace of the code."""

    @app.exception_handler(ProblemError)
    async def known(_: Request, error: ProblemError) -> Response:
        return problem_response(error.status, error.detail, error.field)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"][1:])
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field or 'body'}: {fault['msg']}", field or "body")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem_response(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(RecsysError)
    async def unavailable(_: Request, __: RecsysError) -> Response:
        return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, "the model cannot answer at the moment")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "this should not have happened; the log has more")
