"""Read the declaration of a dataset: a YAML file that says where its files are and what their columns mean.

A declaration is `RECSYS_HOME/datasets/<id>.yaml`; `recsys import` writes it, or a user by hand:

    id: shop
    domain: shop
    licence: our own
    ratings: {scale: [1, 5], liked_from: 4}
    interactions:
      files: orders/*.csv
      user: customer
      item: sku
      rating: stars
      time: created_at
    items:
      files: products.csv
      item: sku
      title: name
      genres: {column: categories, separator: "|"}
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from recsys_dagster.domains import default_like_threshold
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration_faults import describe_faults
from recsys_dagster.ingest.notations import DAY_FIRST, MONTH_FIRST, is_time_format
from recsys_dagster.runtime.yaml_files import read_yaml

IMPLICIT = "implicit"
"""Value of `ratings` of a dataset without ratings."""

_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"


class DeclarationError(RecsysError):
    """A declaration cannot be used; the message names the file, the field and the cure."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ratings(_Strict):
    """The rating scale.

    Attributes:
        scale: lowest and highest possible rating.
        liked_from: a rating at or above it counts as liked; default: see `default_like_threshold`.
    """

    scale: tuple[float, float]
    liked_from: float | None = None

    @property
    def like_threshold(self) -> float:
        """The rating from which on an item counts as liked."""
        return default_like_threshold(self.scale) if self.liked_from is None else self.liked_from

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.scale
        if not low < high:
            raise ValueError(f"scale: [{low:g}, {high:g}]: the first number has to be below the second")
        if not low <= self.like_threshold <= high:
            raise ValueError(f"liked_from: {self.like_threshold:g} is outside of the scale from {low:g} to {high:g}")
        return self


class ListColumn(_Strict):
    """A column with several values, such as genres.

    Attributes:
        column: name of the column.
        separator: text between two values; None: the column has lists, or JSON lists.
    """

    column: str
    separator: str | None = None


class FlagColumns(_Strict):
    """Several columns of zeros and ones; the name of each column whose value is one is a value.

    Attributes:
        flags: names of the columns.
    """

    flags: tuple[str, ...] = Field(min_length=1)


class Files(_Strict):
    """Where the rows are, and how they are written.

    Attributes:
        files: paths, folders or patterns such as orders/*.csv, or URLs. Relative ones are relative to the folder of the
            declaration or, where the declaration names an archive, in the archive (where a base name is enough).
        format: of the files; None: by their endings.
        columns: names of the columns of a CSV file without header, in order; None: the first row has them.
        delimiter: text between the fields of a CSV file; None: recognised.
        encoding: of a CSV file.
        database: address of a database that is read instead of files; see `query`.
        query: SELECT that gives the rows of the database, or of the files, each of which is a table that is called as
            the file without its ending.
    """

    files: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    format: Literal["csv", "jsonl", "parquet"] | None = None
    columns: tuple[str, ...] | None = None
    delimiter: str | None = Field(None, min_length=1, max_length=4)
    encoding: str = "utf-8"
    database: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if bool(self.files) == (self.database is not None):
            raise ValueError("name either files or a database")
        if self.database is not None and self.query is None:
            raise ValueError("database: needs a query, the SELECT that gives the rows")
        if self.files and self.query is not None and self.columns is not None:
            raise ValueError("columns: a query is for files with a header")
        if self.database is not None and _has_password(self.database):
            raise ValueError("database: has a password; write ${NAME} for it and set the variable NAME, or PGPASSWORD")
        return self


def _has_password(address: str) -> bool:
    """Return whether an address has a password, and not the name of a variable in its place."""
    user, at, _ = address.partition("://")[2].rpartition("@")
    password = user.partition(":")[2]
    named = re.search(r"(?i)[?&]password=([^&]+)", address)
    return any(
        text and not re.fullmatch(r"\$\{\w+\}", text) for text in (password if at else "", named[1] if named else "")
    )


class InteractionSource(Files):
    """The interactions: the names of their columns.

    Attributes:
        user, item: ids of any type.
        rating: on the scale of `ratings`; words such as true, up and like stand for its highest value, false, down and
            dislike for its lowest; a missing value is an interaction without a rating.
        weight: strength of an interaction, above zero; several rows of a pair add up.
        time: date, ISO text, or seconds, milli-, micro- or nanoseconds since 1970, unless `time_format` says otherwise.
        time_format: how times are written: `day-first` as in 31.01.2026 12:30, `month-first` as in 01/31/2026, or a
            format such as "%Y%m%d".
        status: watching, completed, on_hold, dropped or plan_to_watch.
        progress: how far the user got, such as episodes watched.
        unrated: values of `rating` that stand for no rating, such as 0.
        user_ids, item_ids: type of the ids; None: integers where every id is a whole number, else text.
    """

    user: str
    item: str
    rating: str | None = None
    weight: str | None = None
    time: str | None = None
    time_format: str | None = None
    status: str | None = None
    progress: str | None = None
    unrated: tuple[float, ...] = ()
    user_ids: Literal["integer", "text"] | None = None
    item_ids: Literal["integer", "text"] | None = None

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        named: dict[str, str] = {}
        for field in ("user", "item", "rating", "weight", "time", "status", "progress"):
            column = getattr(self, field)
            if column in named:
                raise ValueError(f"{field}: names the column {column}, which is the {named[column]} already")
            if column is not None:
                named[column] = field
        return self

    @field_validator("time_format")
    @classmethod
    def _check_time_format(cls, value: str | None) -> str | None:
        if value is not None and not is_time_format(value):
            raise ValueError(f"say {DAY_FIRST}, {MONTH_FIRST}, or a format such as %Y%m%d")
        return value


class ItemSource(Files):
    """The items: the names of their columns, each the same as in `clean.items`.

    Attributes:
        item: id, of the same type as in the interactions.
        year_in_title: whether the year stands in parentheses at the end of the title, which it then leaves.
    """

    item: str
    title: str | None = None
    title_english: str | None = None
    kind: str | None = None
    year: str | None = None
    genres: str | ListColumn | FlagColumns | None = None
    creators: str | ListColumn | None = None
    tags: str | ListColumn | None = None
    language: str | None = None
    episodes: str | None = None
    members: str | None = None
    site_score: str | None = None
    synopsis: str | None = None
    image_url: str | None = None
    page_url: str | None = None
    is_adult: str | None = None
    year_in_title: bool = False


class Declaration(_Strict):
    """A dataset as a user declares it.

    Attributes:
        id: name of the dataset.
        domain: name of its domain.
        licence, homepage, summary: as of `Dataset`.
        archive: ZIP archive that has the files: a path, a URL, or `kaggle:owner/name`; None: they are not packed.
        ratings: the rating scale, or `implicit`.
        pseudonymise: whether user ids are replaced by pseudonyms and stored nowhere.
        interactions: where the interactions are.
        items: where the items are; None: nothing is known of them but their ids.
    """

    id: str = Field(pattern=f"^{_NAME}$")
    domain: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    licence: str = "not stated"
    homepage: str = ""
    summary: str = ""
    archive: str | None = None
    ratings: Ratings | Literal["implicit"]
    pseudonymise: bool = False
    interactions: InteractionSource
    items: ItemSource | None = None

    @property
    def scale(self) -> tuple[float, float] | None:
        """Lowest and highest rating; None for implicit feedback."""
        return self.ratings.scale if isinstance(self.ratings, Ratings) else None

    @property
    def sums_repeats(self) -> bool:
        """Whether several rows of a user and an item add up, instead of the latest counting."""
        return self.scale is None or self.interactions.weight is not None

    @model_validator(mode="after")
    def _check_rating(self) -> Self:
        if self.scale is not None and self.interactions.rating is None:
            raise ValueError(
                f"interactions.rating: name the column of the ratings, or say `ratings: {IMPLICIT}` if there are none"
            )
        if self.scale is None and self.interactions.rating is not None:
            raise ValueError("ratings: give the scale, such as {scale: [1, 5]}, as interactions.rating names a column")
        return self


def read_declaration(path: Path) -> Declaration:
    """Read a declaration.

    Raises:
        DeclarationError: the file cannot be read, is no YAML, or a field is unknown, missing or has an invalid value.
    """
    try:
        content = read_yaml(path)
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read ({error.strerror}); name an existing file") from None
    except RecsysError as error:
        raise DeclarationError(str(error)) from None
    if not isinstance(content, dict):
        raise DeclarationError(f"{path}: expected lines such as `id: {path.stem}`; see `recsys import --help`")
    try:
        declaration = Declaration.model_validate({"id": path.stem, **content})
    except ValidationError as error:
        fields = {
            "": Declaration.model_fields,
            "ratings": Ratings.model_fields,
            "interactions": InteractionSource.model_fields,
            "items": ItemSource.model_fields,
        }
        faults = describe_faults(error.errors(), content, fields)
        raise DeclarationError(f"{path}: {'; '.join(faults)}") from None
    if declaration.id != path.stem:
        raise DeclarationError(f"{path}: id: {declaration.id} differs from the file's name; call it {path.stem}")
    return declaration
