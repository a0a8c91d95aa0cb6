"""Define the file formats of the known datasets: file names, columns and column types.

Only the columns that a table needs are listed; other columns of a file are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ITEM_TEXTS = (
    "title",
    "title_english",
    "kind",
    "year",
    "language",
    "episodes",
    "members",
    "site_score",
    "synopsis",
    "image_url",
    "page_url",
    "is_adult",
)
"""Columns of the items that a declaration can name, each of which is a text when it is loaded."""
ITEM_LISTS = ("genres", "creators", "tags")
"""Columns of the items that a declaration can name, each of which is a list when it is loaded."""


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Attributes:
        name: canonical name, which the SQL files use.
        type: DuckDB type of the column; VARCHAR if the SQL files have to clean the values first.
        aliases: other spellings in the headers of some uploads.
        heading: the only spelling in the header, where a declaration says it; None: `name` and `aliases`.
        is_strict: for an id, whether only what is written as numbers are counts as one: 7, but not 007.
        personal: whether the value identifies a person; such values are not stored in any table.
        earliest: for a TIMESTAMP, the date before which a time is implausible and counts as unknown.
        required: whether a file without the column is refused; a missing optional column is NULL in every row.
        time_format: for a TIMESTAMP, as of `InteractionSource`; None: ISO text, or a number since 1970.
        votes: for a FLOAT, the values that words such as down and up stand for; None: no word is a value.
    """

    name: str
    type: str = "VARCHAR"
    aliases: tuple[str, ...] = ()
    personal: bool = False
    required: bool = True
    earliest: str = "1970-01-02"
    heading: str | None = None
    is_strict: bool = False
    time_format: str | None = None
    votes: tuple[float, float] | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """The spellings in headers, the preferred one first."""
        return (self.name, *self.aliases) if self.heading is None else (self.heading,)

    def spelling_in(self, header: Sequence[str]) -> str | None:
        """Return how a header spells the column; None if it lacks the column, or has several that might be it."""
        exact = next((spelling for spelling in self.spellings if spelling in header), None)
        if exact is not None or self.heading is not None:
            return exact
        letters = {_letters(spelling) for spelling in self.spellings}
        alike = [name for name in header if _letters(name) in letters]
        return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return name.casefold().replace(" ", "").replace("_", "")


@dataclass(frozen=True)
class SourceFile:
    """A CSV file in UTF-8, or a declared file of another format.

    Attributes:
        name: base name in the archive.
        other_names: base names in the archives of other publishers.
        columns: columns that the file must have, in any order and among others.
        required: whether an archive without the file is refused; a missing optional file counts as empty.
        quoted: whether fields may be quoted. False for purely numeric files, in which a stray quote would otherwise
            hide all rows up to the next quote.
        delimiter: text between fields, where a declaration says it; None: recognised.
        has_header: whether the first row has the names of the columns.
    """

    name: str
    columns: tuple[Column, ...]
    required: bool = True
    quoted: bool = True
    delimiter: str | None = None
    has_header: bool = True
    other_names: tuple[str, ...] = ()

    def spellings(self, header: Sequence[str]) -> dict[str, str]:
        """Map the canonical name of each column found in the header to its spelling there; the first spelling wins.

        Where none is there, a name that differs in case, blanks or underscores only is taken, such as `user_id` for
        `userId`; not in declared files, whose declaration can say it.
        """
        found = {column.name: column.spelling_in(header) for column in self.columns}
        return {name: spelling for name, spelling in found.items() if spelling is not None}

    def has_required(self, header: Sequence[str]) -> bool:
        """Return whether the header has every required column."""
        spellings = self.spellings(header)
        return all(column.name in spellings for column in self.columns if column.required)


@dataclass(frozen=True)
class Format:
    """The files of one kind of dataset; the folder of its SQL files is `sql/sources/<name>`.

    Attributes:
        name: of the format.
        files: the files.
        one_of: names of optional files of which an archive needs at least one.
    """

    name: str
    files: tuple[SourceFile, ...]
    one_of: tuple[str, ...] = ()

    def file(self, name: str) -> SourceFile:
        """Return the file with the given name; raise KeyError if the format has none."""
        return {file.name: file for file in self.files}[name]


FORMATS: dict[str, Format] = {
    format_.name: format_
    for format_ in (
        Format(
            "movielens",
            (
                SourceFile(
                    "movies.csv",
                    (Column("movieId"), Column("title"), Column("genres")),
                    other_names=("movie.csv",),
                ),
                SourceFile(
                    "ratings.csv",
                    (
                        Column("userId", "BIGINT"),
                        Column("movieId", "BIGINT"),
                        Column("rating", "FLOAT"),
                        # The oldest ratings of the site are of 1995.
                        Column("timestamp", "TIMESTAMP", required=False, earliest="1995-01-01"),
                    ),
                    quoted=False,
                    other_names=("rating.csv",),
                ),
                SourceFile(
                    "tags.csv",
                    (Column("movieId", "BIGINT"), Column("tag")),
                    required=False,
                    other_names=("tag.csv",),
                ),
                SourceFile(
                    "links.csv",
                    (Column("movieId", "BIGINT"), Column("imdbId")),
                    required=False,
                    other_names=("link.csv",),
                ),
                SourceFile(
                    "genome_scores.csv",
                    (Column("movieId", "BIGINT"), Column("tagId", "BIGINT"), Column("relevance", "FLOAT")),
                    required=False,
                    quoted=False,
                    other_names=("genome-scores.csv",),
                ),
                SourceFile(
                    "genome_tags.csv",
                    (Column("tagId", "BIGINT"), Column("tag")),
                    required=False,
                    other_names=("genome-tags.csv",),
                ),
            ),
        ),
        Format(
            "anime-2020",
            (
                SourceFile(
                    "anime.csv",
                    (
                        Column("MAL_ID"),
                        Column("Name"),
                        Column("Score"),
                        Column("Genres", aliases=("Genders",)),
                        Column("English name"),
                        Column("Type"),
                        Column("Episodes"),
                        Column("Aired"),
                        Column("Rating"),
                        Column("Members"),
                        Column("Studios", required=False),
                    ),
                ),
                SourceFile(
                    "anime_with_synopsis.csv",
                    (Column("MAL_ID"), Column("Synopsis", aliases=("sypnopsis", "synopsis"))),
                    required=False,
                ),
                SourceFile(
                    "rating_complete.csv",
                    (Column("user_id", "BIGINT"), Column("anime_id", "BIGINT"), Column("rating", "FLOAT")),
                    quoted=False,
                    required=False,
                ),
                SourceFile(
                    "animelist.csv",
                    (
                        Column("user_id", "BIGINT"),
                        Column("anime_id", "BIGINT"),
                        Column("rating", "FLOAT"),
                        Column("watching_status", "INTEGER"),
                        Column("watched_episodes", "INTEGER"),
                    ),
                    quoted=False,
                    required=False,
                ),
            ),
            one_of=("rating_complete.csv", "animelist.csv"),
        ),
        Format(
            "cooper-union",
            (
                SourceFile(
                    "anime.csv",
                    (
                        Column("anime_id"),
                        Column("name"),
                        Column("genre"),
                        Column("type"),
                        Column("episodes"),
                        Column("rating"),
                        Column("members"),
                    ),
                ),
                SourceFile(
                    "rating.csv",
                    (Column("user_id", "BIGINT"), Column("anime_id", "BIGINT"), Column("rating", "FLOAT")),
                    quoted=False,
                ),
            ),
        ),
        Format(
            "myanimelist",
            (
                SourceFile(
                    "anime_cleaned.csv",
                    (
                        Column("anime_id"),
                        Column("title"),
                        Column("title_english"),
                        Column("type"),
                        Column("episodes"),
                        Column("aired_string"),
                        Column("aired_from_year"),
                        Column("rating"),
                        Column("score"),
                        Column("members"),
                        Column("genre"),
                        Column("studio", required=False),
                        Column("image_url", required=False),
                    ),
                ),
                SourceFile("users_cleaned.csv", (Column("username", personal=True),)),
                SourceFile(
                    "animelists_cleaned.csv",
                    (
                        Column("username", personal=True),
                        Column("anime_id", "BIGINT"),
                        Column("my_watched_episodes", "INTEGER"),
                        Column("my_score", "FLOAT"),
                        Column("my_status", "INTEGER"),
                        # The site opened in 2004.
                        Column("my_last_updated", "TIMESTAMP", earliest="2004-01-01"),
                    ),
                ),
            ),
        ),
    )
}

DECLARED = Format(
    "declared",
    (
        SourceFile(
            "interactions",
            (
                Column("source_file"),
                Column("user_id", "BIGINT"),
                Column("item_id", "BIGINT"),
                Column("rating", "FLOAT"),
                Column("weight", "FLOAT"),
                Column("time", "TIMESTAMP"),
                Column("status"),
                Column("progress", "INTEGER"),
            ),
        ),
        SourceFile(
            "items",
            (
                Column("source_file"),
                Column("item_id", "BIGINT"),
                Column("source_id"),
                Column("year_in_title", "BOOLEAN"),
                *(Column(name) for name in ITEM_TEXTS),
                *(Column(name, "VARCHAR[]") for name in ITEM_LISTS),
            ),
        ),
    ),
)
"""The format of declared datasets: what all files of the interactions and of the items become when they are loaded. The
names of the files and of their columns are in the declaration."""
