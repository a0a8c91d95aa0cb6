"""What clients send in the body of a request, with its bounds."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from recsys_dagster.serving.recommendation import Id

MAX_N = 100
"""Longest list that one request may ask for."""
MAX_HISTORY = 1000
MAX_EXCLUDED = 1000


class RatedItem(BaseModel):
    """An item of a history, by its id or its name, with the rating if there is one."""

    model_config = ConfigDict(extra="forbid")

    item: Id
    rating: float | None = None


class NewUser(BaseModel):
    """A user who is not in the data: a history, or ratings of genres."""

    model_config = ConfigDict(extra="forbid")

    history: list[RatedItem] = Field(default=[], max_length=MAX_HISTORY)
    tastes: dict[str, float] = Field(default={}, max_length=100)
    model: str | None = None
    n: int = Field(10, ge=1, le=MAX_N)
    kind: str | None = None
    genre: str | None = None
    year_from: int | None = Field(None, ge=0, le=9999)
    exclude: list[Id] = Field(default=[], max_length=MAX_EXCLUDED)
    include_adult: bool = False
    diversity: float | None = Field(None, ge=0, le=1)
    calibration: float | None = Field(None, ge=0, le=1)


class Event(BaseModel):
    """What a user did with an item, with the rating if the user gave one."""

    model_config = ConfigDict(extra="forbid")

    user_id: int | Annotated[str, Field(min_length=1, max_length=1000)]
    item_id: Id
    event: str = Field(min_length=1, max_length=32, pattern=r"^[a-z_]+$")
    list_id: str | None = Field(None, max_length=32, pattern=r"^[0-9a-f]+$")
    rating: float | None = None
    time: datetime | None = None
