"""Read and document the parameters of a look-up in one step.

FastAPI reads and checks parameter by parameter, which takes twice as long as the look-up itself; here one model checks
them all.
"""

import functools
import re
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, cast, get_origin

from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import Scope

from recsys_dagster.serving.service.bodies import MAX_EXCLUDED, MAX_N
from recsys_dagster.serving.service.problems import ProblemError

_SHORT = 200
"""Bytes of the longest query that is remembered."""
_Query = TypeVar("_Query", bound=BaseModel)


class LookUpRoute(Route):
    """A route of Starlette whose requests are counted by its path, as those of FastAPI's routes are."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the route answers the request, and what is added to its scope."""
        match, added = super().matches(scope)
        return match, {**added, "route": self}


class ListQuery(BaseModel):
    """What a client asks of a list."""

    n: int = Field(10, ge=1, le=MAX_N, description="Length of the list.")
    kind: str | None = Field(None, description="Items of this kind only, in any case of letters.")
    genre: str | None = Field(None, description="Items of this genre only, in any case of letters.")
    year_from: int | None = Field(None, ge=0, le=9999, description="Items of this year or later only.")
    exclude: Annotated[list[str], Field(max_length=MAX_EXCLUDED)] = Field(
        default_factory=list, description="Ids that are not listed."
    )
    include_adult: bool = Field(False, description="Whether items for adults may be listed.")
    diversity: float | None = Field(None, ge=0, le=1, description="Its weight against the score; 0: none.")
    calibration: float | None = Field(None, ge=0, le=1, description="Likewise.")


def read_query(model: type[_Query], request: Request) -> _Query:
    """Return the query of a request, which must not be changed: requests with the same text share it.

    Raises:
        ProblemError: a value is not as the model asks; the first one is named (422).
    """
    text: bytes = request.scope["query_string"]
    read = _read_short if len(text) <= _SHORT else _read
    return cast(_Query, read(model, text))


def _read(model: type[BaseModel], text: bytes) -> BaseModel:
    given = QueryParams(text)
    values: dict[str, Any] = dict(given)
    for name in _lists(model) & values.keys():
        values[name] = given.getlist(name)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {fault['msg']}", field) from None


_read_short = functools.lru_cache(maxsize=256)(_read)
"""Clients ask for many users with one and the same query."""


def parameters(path: str, model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the OpenAPI description of the parameters of a path and of a query."""
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", path)
    ]
    described = model.model_json_schema()["properties"]
    return in_path + [{"name": name, "in": "query", "schema": schema} for name, schema in described.items()]


@functools.cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields that may be given several times."""
    return frozenset(name for name, field in model.model_fields.items() if get_origin(field.annotation) is list)
