"""What is found in the files of a user, and what the user says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recsys_dagster.ingest.declaration import Declaration
from recsys_dagster.ingest.importing.contents import Content
from recsys_dagster.ingest.importing.roles import Roles
from recsys_dagster.ingest.importing.scales import Scale
from recsys_dagster.ingest.importing.survey import Survey
from recsys_dagster.ingest.importing.tables import Table


@dataclass(frozen=True)
class Given:
    """What a user says instead of leaving it to be found out; None or empty: found out.

    Attributes:
        name, domain: of the dataset.
        columns: of the interactions, by meaning.
        item_columns: of the items, by meaning.
        scale, liked_from, unrated: of the ratings.
        implicit: whether there are no ratings.
        time_format: how times are written, as of `InteractionSource`.
        pseudonymise: as of `Declaration`.
        query, items_query: SELECTs of the interactions and the items, where a database is named instead of files.
    """

    name: str | None = None
    domain: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    item_columns: Mapping[str, str] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    liked_from: float | None = None
    unrated: tuple[float, ...] = ()
    implicit: bool = False
    time_format: str | None = None
    pseudonymise: bool = False
    query: str | None = None
    items_query: str | None = None

    @property
    def says_columns(self) -> bool:
        """Whether anything about the columns or the ratings is said."""
        return bool(self.columns or self.item_columns or self.scale or self.implicit or self.unrated)


@dataclass(frozen=True)
class Described:
    """A table with what is in its columns."""

    table: Table
    contents: Sequence[Content]
    roles: Roles

    @property
    def ignored(self) -> list[Content]:
        """The columns that mean nothing here."""
        return [one for one in self.contents if one.column.name not in self.roles.columns.values()]


@dataclass(frozen=True)
class Proposal:
    """A declaration with what it was made of.

    Attributes:
        declaration: of the dataset.
        interactions, items: the tables.
        scale: of the ratings, as found; None where there are none.
        survey: counts of all rows.
        unused: names of files that hold something else.
        public: id of the public dataset that the files are of; None: of none that is known.
    """

    declaration: Declaration
    interactions: Described
    items: Described | None
    scale: Scale | None
    survey: Survey
    unused: tuple[str, ...] = ()
    public: str | None = None
