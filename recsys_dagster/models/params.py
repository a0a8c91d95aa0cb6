"""The base of each model's parameters."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from recsys_dagster.models.search_space import Range


class Params(BaseModel):
    """Base of each model's parameters: immutable, documented, unknown names refused.

    `model_fields_set` holds the names of those that were given, also where the value equals the default.

    Attributes:
        searched: the range of each parameter that `recsys tune` searches; the others keep their defaults.
        aliases: other spellings of parameters that are accepted, such as those of Spark and scikit-learn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    searched: ClassVar[Mapping[str, Range]] = {}
    aliases: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _accept_aliases(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not cls.aliases.keys() & values.keys():
            return values
        for alias, name in cls.aliases.items():
            if alias in values and name in values:
                raise ValueError(f"{alias} is another spelling of {name}: give one of them")
        return {cls.aliases.get(name, name): value for name, value in values.items()}
