"""The columns and types of every table that is kept: clean, features, evaluation and the published file.

Tables that SQL files compute are checked against their schema when they are built; all others are created from it.
A column that is to be added is added here and where its values are made, and nowhere else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        type: its DuckDB type.
        description: what its values are; empty where the name says all.
        nullable: whether a value may be NULL, which always means unknown or not applicable.
    """

    name: str
    type: str
    description: str = ""
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """A table and its columns in order.

    Attributes:
        schema: DuckDB schema; the published file has its tables in `main`.
        name: name within the schema.
        columns: the columns, in order.
        key: the columns whose values are together unique; empty where nothing is.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with its schema, as SQL writes it."""
        return f"{self.schema}.{self.name}"

    @property
    def types(self) -> dict[str, str]:
        """The type of each column by name, in order."""
        return {column.name: column.type for column in self.columns}

    def definition(self) -> str:
        """Return the column list of a CREATE TABLE statement, without its parentheses."""
        return ", ".join(
            f'"{column.name}" {column.type}{"" if column.nullable else " NOT NULL"}' for column in self.columns
        )

    def differences(self, types: Mapping[str, str]) -> list[str]:
        """Describe how the columns that a table or query really has differ from the declared ones.

        Args:
            types: the real type of each column by name, in order.

        Returns:
            One phrase for each difference; none if names, types and order are as declared.
        """
        declared = self.types
        phrases = [f"no column {name} ({declared[name]})" for name in declared if name not in types]
        phrases += [f"undeclared column {name} ({types[name]})" for name in types if name not in declared]
        phrases += [
            f"column {name} is {types[name]} instead of {declared[name]}"
            for name in declared
            if name in types and types[name] != declared[name]
        ]
        if not phrases and list(types) != list(declared):
            phrases.append(f"the order is {', '.join(types)} instead of {', '.join(declared)}")
        return phrases


_USER = Column("user_id", "BIGINT", "user, as the source writes it, or the pseudonym of a name", nullable=False)
_ITEM = Column("item_id", "BIGINT", "item, as the source writes it", nullable=False)
_USER_INDEX = Column("user_idx", "INTEGER", "index of the user, from 0 in the order of the ids", nullable=False)
_ITEM_INDEX = Column("item_idx", "INTEGER", "index of the item, from 0 in the order of the ids", nullable=False)
_SOURCE_FILE = Column("source_file", "VARCHAR", "name of the raw file", nullable=False)

_ITEM_COLUMNS = (
    _ITEM,
    Column("source_id", "VARCHAR", "id of the item as the source writes it, where that is no whole number"),
    Column("title", "VARCHAR", "name of the item"),
    Column("title_english", "VARCHAR", "English name, where it has one of its own"),
    Column("kind", "VARCHAR", "what sort of item it is, such as Movie or TV"),
    Column("year", "SMALLINT", "year in which it came out"),
    Column("genres", "VARCHAR[]", "genres, in the order of the source"),
    Column("creators", "VARCHAR[]", "studios, producers, authors or makers"),
    Column("tags", "VARCHAR[]", "what users or a publisher call it, the most relevant first"),
    Column("language", "VARCHAR", "language of the item"),
    Column("episodes", "INTEGER", "number of episodes"),
    Column("members", "INTEGER", "users of the publisher's site who list it"),
    Column("site_score", "FLOAT", "mean rating on the publisher's site"),
    Column("synopsis", "VARCHAR", "summary of its content"),
    Column("image_url", "VARCHAR", "address of a picture"),
    Column("page_url", "VARCHAR", "address of its page on the web"),
    Column("is_adult", "BOOLEAN", "whether it is for adults only"),
)

_METRIC_COLUMNS = (
    Column("model", "VARCHAR", nullable=False),
    Column("version", "VARCHAR", "version of the model in the model store", nullable=False),
    Column("protocol", "VARCHAR", "how the interactions were split, such as holdout", nullable=False),
    Column("fold", "VARCHAR", "part of the split that it was evaluated on", nullable=False),
)
_INTERVAL_COLUMNS = (
    Column("k", "INTEGER", "length of the lists; NULL for a metric that needs none"),
    Column("value", "DOUBLE", nullable=False),
    Column("low", "DOUBLE", "lower end of the 95 % interval"),
    Column("high", "DOUBLE", "upper end of the 95 % interval"),
    Column("users", "BIGINT", "number of users that were evaluated", nullable=False),
)
_METRIC = Column("metric", "VARCHAR", nullable=False)

ORIGIN = Table(
    "clean",
    "origin",
    (
        Column("dataset_id", "VARCHAR", "id in the dataset catalogue"),
        Column("data_version", "VARCHAR", "hash of the files"),
        Column("licence", "VARCHAR", "licence of the data"),
        Column("url", "VARCHAR", "where the files were fetched from, without secrets"),
        Column("fetched_at", "VARCHAR", "time of the fetch in UTC, ISO 8601"),
        Column("scale_low", "DOUBLE", "lowest possible rating; NULL for implicit feedback"),
        Column("scale_high", "DOUBLE", "highest possible rating; NULL for implicit feedback"),
        Column("liked_from", "DOUBLE", "a rating at or above it counts as liked; NULL for implicit feedback"),
        Column("user_ids", "VARCHAR", "what user ids are in the source: integer, text or pseudonym", nullable=False),
        Column("item_ids", "VARCHAR", "what item ids are in the source: integer or text", nullable=False),
    ),
)
"""Which files the clean tables were built of: one row, replaced together with them."""

CLEAN = (
    ORIGIN,
    Table("clean", "items", _ITEM_COLUMNS, key=("item_id",)),
    Table(
        "clean",
        "ratings",
        (
            _USER,
            _ITEM,
            Column("rating", "FLOAT", "rating on the scale of the domain", nullable=False),
            Column("rated_at", "TIMESTAMP", "time of the rating in UTC"),
        ),
        key=("user_id", "item_id"),
    ),
    Table(
        "clean",
        "interactions",
        (
            _USER,
            _ITEM,
            Column("status", "VARCHAR", "watching, completed, on_hold, dropped or plan_to_watch"),
            Column("progress", "INTEGER", "how far the user got, such as episodes watched"),
            Column("weight", "FLOAT", "strength of the interaction, such as a number of purchases"),
            Column("at", "TIMESTAMP", "time of the interaction in UTC"),
            Column("is_rated", "BOOLEAN", "whether clean.ratings has a rating of it", nullable=False),
        ),
        key=("user_id", "item_id"),
    ),
    Table(
        "clean",
        "users",
        (_USER, Column("source_id", "VARCHAR", "id of the user as the source writes it", nullable=False)),
        key=("user_id",),
    ),
    Table(
        "clean",
        "rejected",
        (
            _SOURCE_FILE,
            Column("line", "BIGINT", "line of the file where the row begins, from 1", nullable=False),
            Column("reason", "VARCHAR", nullable=False),
            Column("raw", "VARCHAR", "text of the row; NULL where it could name a user"),
        ),
    ),
    Table(
        "clean",
        "source_files",
        (
            _SOURCE_FILE,
            Column("rows_in", "BIGINT", "rows of the file, without header and blank lines", nullable=False),
            Column("kept", "BIGINT", "rows that are in a clean table", nullable=False),
            Column("times", "BIGINT", "rows with a time; NULL where the file has no column of times"),
            Column("times_lost", "BIGINT", "of these, rows whose time cannot be read or is implausible"),
            Column("lost_time", "VARCHAR", "text of such a time"),
        ),
        key=("source_file",),
    ),
)

FEATURES = (
    Table("features", "users", (_USER_INDEX, _USER), key=("user_idx",)),
    Table("features", "items", (_ITEM_INDEX, _ITEM), key=("item_idx",)),
    Table(
        "features",
        "fold_cuts",
        (
            Column("method", "VARCHAR", "`time` or `hash`", nullable=False),
            Column("reason", "VARCHAR", "why this method", nullable=False),
            Column("train_until", "TIMESTAMP", "time of the last training pair; NULL for `hash`"),
            Column("validation_until", "TIMESTAMP", "time of the last validation pair; NULL for `hash`"),
            Column("pairs", "BIGINT", "ratings or, with implicit feedback, interactions", nullable=False),
            Column("pairs_with_time", "BIGINT", "those that have a time", nullable=False),
        ),
    ),
    Table(
        "features",
        "interactions",
        (
            _USER_INDEX,
            _ITEM_INDEX,
            Column("rating", "FLOAT", "rating; NULL for an interaction without one"),
            Column("weight", "FLOAT", "strength of an interaction without a rating; NULL if unknown"),
            Column("at", "TIMESTAMP", "time of the interaction in UTC"),
            Column("fold", "VARCHAR", "train, validation or test", nullable=False),
        ),
        key=("user_idx", "item_idx"),
    ),
    Table(
        "features",
        "item_genres",
        (_ITEM_INDEX, Column("genre", "VARCHAR", nullable=False)),
        key=("item_idx", "genre"),
    ),
    Table(
        "features",
        "user_genre_taste",
        (
            _USER_INDEX,
            Column("genre", "VARCHAR", nullable=False),
            Column("mean_rating", "FLOAT", "mean of the user's training ratings of the genre", nullable=False),
            Column("ratings", "INTEGER", "number of those ratings", nullable=False),
        ),
        key=("user_idx", "genre"),
    ),
)

METRICS = Table("evaluation", "metrics", (*_METRIC_COLUMNS, _METRIC, *_INTERVAL_COLUMNS))
SLICES = Table(
    "evaluation",
    "slices",
    (
        *_METRIC_COLUMNS,
        Column("dimension", "VARCHAR", "what the users or items are divided by, such as popularity", nullable=False),
        Column("part", "VARCHAR", "name of the part", nullable=False),
        Column("position", "BIGINT", "place of the part in the order of its dimension", nullable=False),
        _METRIC,
        *_INTERVAL_COLUMNS,
        Column("pairs", "BIGINT", "number of pairs that were evaluated", nullable=False),
    ),
)
CONFUSION = Table(
    "evaluation",
    "confusion",
    (
        *_METRIC_COLUMNS,
        Column("rating", "DOUBLE", "rating that was given", nullable=False),
        Column("predicted", "DOUBLE", "rating that was predicted, rounded", nullable=False),
        Column("pairs", "BIGINT", "how often", nullable=False),
    ),
)
_PAPER_COLUMNS = (
    Column("system", "VARCHAR", "model, with what was changed in brackets", nullable=False),
    Column("dataset", "VARCHAR", "dataset that ours was measured on", nullable=False),
)
PAPERS = Table(
    "evaluation",
    "papers",
    (
        Column("paper", "VARCHAR", "number of the paper", nullable=False),
        *_PAPER_COLUMNS,
        _METRIC,
        Column("printed_dataset", "VARCHAR", "dataset of the printed figure", nullable=False),
        Column("printed", "DOUBLE", "figure that the paper prints"),
        Column("as_published", "DOUBLE", "ours under the protocol of the paper, with its faults", nullable=False),
        Column("as_published_trivial", "DOUBLE", "the trivial system under the same protocol"),
        Column("honest", "DOUBLE", "ours on the folds of the lineage"),
        Column("honest_trivial", "DOUBLE", "the trivial system on the folds of the lineage"),
        Column("trivial", "VARCHAR", "which system is the trivial one", nullable=False),
        Column("train_pairs", "BIGINT", "training pairs under the protocol of the paper", nullable=False),
        Column("test_pairs", "BIGINT", "test pairs under the protocol of the paper", nullable=False),
    ),
)
FAULTS = Table(
    "evaluation",
    "faults",
    (
        Column("fault", "VARCHAR", "short name of the fault", nullable=False),
        Column("paper", "VARCHAR", "papers that have it", nullable=False),
        Column("dataset", "VARCHAR", nullable=False),
        Column("system", "VARCHAR", nullable=False),
        _METRIC,
        Column("honest", "DOUBLE", "value without the fault", nullable=False),
        Column("faulty", "DOUBLE", "value with the fault", nullable=False),
        Column("low", "DOUBLE", "lower end of the 95 % interval of the difference"),
        Column("high", "DOUBLE", "upper end of the 95 % interval of the difference"),
    ),
)
PAPER_CONFUSIONS = Table(
    "evaluation",
    "paper_confusions",
    (
        Column("paper", "VARCHAR", nullable=False),
        *_PAPER_COLUMNS,
        Column("rating", "BIGINT", "rating that was given; -1 for an interaction without one", nullable=False),
        Column("predicted", "BIGINT", "rating that was predicted, rounded", nullable=False),
        Column("pairs", "BIGINT", "how often", nullable=False),
    ),
)
PAPER_DETAILS = Table(
    "evaluation",
    "paper_details",
    (
        Column("paper", "VARCHAR", nullable=False),
        *_PAPER_COLUMNS,
        Column("kind", "VARCHAR", "curve, layer, weight or ratings", nullable=False),
        Column("name", "VARCHAR", "which curve, layer or member; which protocol", nullable=False),
        Column("place", "DOUBLE", "epoch, number of the layer, or rating", nullable=False),
        Column("value", "DOUBLE", "value of the curve, parameters, weight, or pairs", nullable=False),
    ),
)
EVALUATION = (METRICS, SLICES, CONFUSION, PAPERS, FAULTS, PAPER_CONFUSIONS, PAPER_DETAILS)

RECOMMENDATIONS = Table(
    "main",
    "recommendations",
    (
        _USER,
        Column("rank", "INTEGER", "place in the list of the user, from 1", nullable=False),
        _ITEM,
        Column("score", "FLOAT", "score of the model; comparable within one list only", nullable=False),
        Column("rating", "FLOAT", "predicted rating on the scale of the domain; NULL without a rating model"),
        Column("rating_low", "FLOAT", "lower bound of the prediction interval of the rating; NULL without one"),
        Column("rating_high", "FLOAT", "upper bound of the prediction interval of the rating; NULL without one"),
        Column("model", "VARCHAR", nullable=False),
        Column("version", "VARCHAR", "version of the model in the model store", nullable=False),
        Column("because", "BIGINT[]", "items of the user that it is recommended for; NULL where the model cannot say"),
    ),
    key=("user_id", "rank"),
)
SIMILAR_ITEMS = Table(
    "main",
    "similar_items",
    (
        _ITEM,
        Column("rank", "INTEGER", "place in the list of the item, from 1", nullable=False),
        Column("similar_id", "BIGINT", "a similar item", nullable=False),
        Column("score", "FLOAT", "similarity, above 0; comparable within one list only", nullable=False),
    ),
    key=("item_id", "rank"),
)
POPULAR_ITEMS = Table(
    "main",
    "popular_items",
    (
        Column("days", "INTEGER", "days before the last interaction that are counted; NULL for all time"),
        Column("rank", "INTEGER", "place in the list of these days, from 1", nullable=False),
        _ITEM,
        Column("interactions", "BIGINT", "number of interactions in these days", nullable=False),
    ),
    key=("days", "rank"),
)
USER_HISTORY = Table(
    "main",
    "user_history",
    (
        _USER,
        Column("position", "INTEGER", "place in the history, from 1; the latest comes first", nullable=False),
        _ITEM,
        Column("rating", "FLOAT", "rating; NULL for an interaction without one"),
        Column("at", "TIMESTAMP", "time of the interaction in UTC"),
    ),
    key=("user_id", "position"),
)
HISTORY = Table(
    "main",
    "history",
    (
        Column("at", "TIMESTAMP", "time of the decision in UTC"),
        Column("model", "VARCHAR", "champion from then on"),
        Column("version", "VARCHAR"),
        Column("previous_model", "VARCHAR", "champion until then"),
        Column("previous_version", "VARCHAR"),
        Column("reason", "VARCHAR"),
        Column("by", "VARCHAR", "`gate`, or `hand` for a decision by a person"),
        Column("metrics", "MAP(VARCHAR, DOUBLE)", "figures that the decision was made by"),
    ),
)
PROVENANCE = Table(
    "main",
    "provenance",
    (
        Column("domain", "VARCHAR"),
        Column("dataset", "VARCHAR", "id in the dataset catalogue"),
        Column("data_version", "VARCHAR", "hash of the files that the lists were learnt from"),
        Column("licence", "VARCHAR", "licence of the data"),
        Column("model", "VARCHAR"),
        Column("version", "VARCHAR"),
        Column("trained_rows", "BIGINT", "interactions that the model was fitted on"),
        Column("scale_low", "DOUBLE", "lowest rating"),
        Column("scale_high", "DOUBLE", "highest rating"),
        Column("packages", "MAP(VARCHAR, VARCHAR)", "version of each package by name"),
        Column("created_at", "TIMESTAMP", "time of publication in UTC"),
        Column("user_ids", "VARCHAR", "what user ids are: integer, text or pseudonym"),
        Column("item_ids", "VARCHAR", "what item ids are: integer or text"),
    ),
)
_RATINGS = Column("ratings", "BIGINT", "number of ratings", nullable=False)
REFERENCE = (
    Table(
        "main",
        "volumes",
        (Column("name", "VARCHAR", "name of the table", nullable=False), Column("rows", "BIGINT", nullable=False)),
        key=("name",),
    ),
    Table("main", "rating_counts", (Column("rating", "FLOAT", nullable=False), _RATINGS), key=("rating",)),
    Table("main", "item_ratings", (_ITEM, _RATINGS), key=("item_id",)),
)
"""What the data looked like at publication; the next run is compared with it."""

PUBLISHED = (
    Table("main", "format_version", (Column("version", "INTEGER", "version of this set of tables", nullable=False),)),
    Table("main", "users", (_USER,), key=("user_id",)),
    RECOMMENDATIONS,
    SIMILAR_ITEMS,
    POPULAR_ITEMS,
    USER_HISTORY,
    Table("main", "items", _ITEM_COLUMNS, key=("item_id",)),
    Table("main", "item_index", (_ITEM_INDEX, _ITEM), key=("item_idx",)),
    Table("main", "genre_index", (Column("genre_idx", "INTEGER", nullable=False), Column("genre", "VARCHAR"))),
    Table("main", "leaderboard", METRICS.columns),
    HISTORY,
    PROVENANCE,
)


def published_tables(user_type: str, item_type: str) -> tuple[Table, ...]:
    """Return the tables of the published file, whose ids have the types of the source.

    Args:
        user_type, item_type: BIGINT, or VARCHAR for ids that are texts.
    """
    return tuple(_with_id_types(table, user_type, item_type) for table in PUBLISHED)


def published_reference(item_type: str) -> tuple[Table, ...]:
    """Return the tables of the published file that the next run is compared with; `item_type` as above."""
    return tuple(_with_id_types(table, "BIGINT", item_type) for table in REFERENCE)


def _with_id_types(table: Table, user_type: str, item_type: str) -> Table:
    types = {"user_id": user_type, "item_id": item_type, "similar_id": item_type, "because": f"{item_type}[]"}
    columns = tuple(replace(column, type=types.get(column.name, column.type)) for column in table.columns)
    return replace(table, columns=columns)


def tables_of(schema: str) -> Mapping[str, Table]:
    """Return the tables of a schema of the warehouse (`clean`, `features` or `evaluation`) by name."""
    return {table.name: table for table in (*CLEAN, *FEATURES, *EVALUATION) if table.schema == schema}


def create_statements(tables: Iterable[Table]) -> str:
    """Return the SQL that creates the tables, which must not exist yet."""
    return "".join(f"CREATE TABLE {table.full_name} ({table.definition()});\n" for table in tables)
