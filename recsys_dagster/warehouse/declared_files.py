"""Load the files of a declared dataset, whatever their types: the views raw.interactions, raw.items and raw.users."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.ingest.csv_dialect import Dialect
from recsys_dagster.ingest.declaration import (
    Declaration,
)
from recsys_dagster.ingest.formats import ITEM_LISTS, ITEM_TEXTS
from recsys_dagster.ingest.manifest import Manifest, ManifestFile, is_declared_name
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.csv_values import quoted_name
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.declared_sources import ID_COLUMNS, VALUE_TYPES, declared_source, list_sql
from recsys_dagster.warehouse.feedback_rows import load_feedback
from recsys_dagster.warehouse.file_loading import FileLoading, LoadedFile
from recsys_dagster.warehouse.id_keys import TextIds, create_keys, find_text, sample_has_text
from recsys_dagster.warehouse.origin import IdType

_PSEUDONYM = "pseudonym({0})"


@dataclass(frozen=True)
class _File:
    """One file of a dataset.

    Attributes:
        role: `interactions` or `items`.
        name: its name in the manifest.
        file: the file.
        dialect: how it is written, where it is a part of a file.
        ids: its columns of ids.
    """

    role: str
    name: str
    file: ManifestFile
    dialect: Dialect | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return ID_COLUMNS[self.role]


def load_declared(
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
    declaration: Declaration,
    manifest: Manifest,
    *,
    max_rejected: float,
) -> tuple[list[LoadedFile], IdType, IdType]:
    """Create the views of the interactions, the items and the users; return the files, and what the ids are.

    Args:
        connection: where the catalogue `raw` is.
        scratch: existing folder for temporary files.
        declaration: says what the columns mean.
        manifest: the files.
        max_rejected: share of the rows of a file that may be rejected, for messages.

    Raises:
        RecsysError: a quoted field is never closed, too many rows cannot be read, or a file is not of its type.
    """
    loading = _DeclaredLoading(connection, scratch, declaration, _declared_files(manifest), max_rejected)
    loading.suppose()
    loaded = loading.load()
    loaded += load_declared_feedback(connection, declaration, manifest, loading.texts)
    connection.execute(f"CREATE VIEW raw.users AS {users_sql(declaration, loading.texts)}")
    return loaded, *id_types(declaration, loading.texts)


def text_columns(
    connection: duckdb.DuckDBPyConnection, scratch: Path, declaration: Declaration, manifest: Manifest
) -> set[str]:
    """Return which ids, of `user` and `item`, are texts, as far as the first rows of the files show."""
    loading = _DeclaredLoading(connection, scratch, declaration, _declared_files(manifest), max_rejected=1)
    loading.suppose()
    return set(loading.texts)


@dataclass(frozen=True)
class LoadedPart:
    """What was read of one declared file, or of a part of it.

    Attributes:
        file: its account.
        refuting: by column, how many ids are no whole numbers though they should be, and one of them.
    """

    file: LoadedFile
    refuting: dict[str, tuple[int, str]]


def load_part(
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
    declaration: Declaration,
    name: str,
    file: ManifestFile,
    *,
    texts: Iterable[str],
    max_rejected: float,
    dialect: Dialect | None,
) -> LoadedPart:
    """Create the views of one file, raw.interactions and raw.interaction_texts or raw.items, and the tables of keys.

    Args:
        connection, scratch, declaration, max_rejected: as of `load_declared`.
        name: name of the file in the manifest.
        file: the file, or a part of it.
        texts: which ids, of `user` and `item`, are texts.
        dialect: how the file is written, where `file` is a part of it.
    """
    one = _File(name.partition("/")[0], name, file, dialect)
    return _DeclaredLoading(connection, scratch, declaration, [one], max_rejected, texts).load_part()


def load_declared_feedback(
    connection: duckdb.DuckDBPyConnection, declaration: Declaration, manifest: Manifest, texts: Container[str]
) -> list[LoadedFile]:
    """Fill `raw.feedback`; `texts` says which ids, of `user` and `item`, are texts."""
    return load_feedback(
        connection,
        manifest,
        user_texts="user" in texts and not declaration.pseudonymise,
        item_texts="item" in texts,
        has_pseudonyms=declaration.pseudonymise,
        sums_repeats=declaration.sums_repeats,
    )


def id_types(declaration: Declaration, texts: Container[str]) -> tuple[IdType, IdType]:
    """Return what the ids of users and items are, given which of them are texts."""
    user_ids: IdType = "pseudonym" if declaration.pseudonymise else "text"
    return user_ids if "user" in texts else "integer", "text" if "item" in texts else "integer"


def users_sql(declaration: Declaration, texts: Container[str]) -> str:
    """Return the SELECT of raw.users: the ids of users that are texts and may be kept."""
    if "user" not in texts or declaration.pseudonymise:
        return "SELECT NULL::BIGINT AS user_id, NULL::VARCHAR AS source_id WHERE FALSE"
    return (
        f"SELECT key AS user_id, source_id FROM {TextIds('user').keys} UNION"
        " SELECT user_id, user_text FROM raw.feedback WHERE user_text IS NOT NULL"
    )


def items_of_interactions_sql(texts: Container[str]) -> str:
    """Return the SELECT of items of which nothing is known but that they are in the interactions."""
    if "item" in texts:
        ids = f"SELECT key AS item_id, source_id FROM {TextIds('item').keys}"
    else:
        ids = "SELECT DISTINCT item_id, NULL::VARCHAR AS source_id FROM raw.interactions WHERE item_id IS NOT NULL"
    unknown = [f"NULL::VARCHAR AS {name}" for name in ITEM_TEXTS] + [
        f"NULL::VARCHAR[] AS {name}" for name in ITEM_LISTS
    ]
    return (
        "SELECT NULL::VARCHAR AS source_file, 0::BIGINT AS position, NULL::VARCHAR AS raw, FALSE AS unreadable,"
        f" item_id, source_id, FALSE AS year_in_title, {', '.join(unknown)} FROM ({ids})"
    )


def text_ids(declaration: Declaration, column: str) -> TextIds:
    """Return how the keys of ids that are texts are computed; `column` is `user` or `item`."""
    return TextIds(column, _PSEUDONYM) if column == "user" and declaration.pseudonymise else TextIds(column)


def announce_texts(declaration: Declaration, column: str, name: str, count: int, example: str) -> None:
    """Say that ids which seemed to be whole numbers are texts, by those in the file `name`."""
    announce(
        f"{declaration.id}: the ids of {column}s are text, as {count:,} in {name} are no whole numbers, such as "
        f"{example!r}; if these are mistakes, say `{column}_ids: integer` in the declaration, and such rows are "
        "rejected"
    )


def _declared_files(manifest: Manifest) -> list["_File"]:
    return [
        _File(name.partition("/")[0], name, file)
        for name, file in sorted(manifest.files.items())
        if is_declared_name(name)
    ]


class _DeclaredLoading:
    """The loading of a declared dataset.

    Attributes:
        texts: the ids that are texts, by column.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
        declaration: Declaration,
        files: Sequence[_File],
        max_rejected: float,
        texts: Iterable[str] = (),
    ) -> None:
        self.connection, self.scratch, self.declaration, self.files = connection, scratch, declaration, files
        self.max_rejected = max_rejected
        self.texts: dict[str, TextIds] = {column: text_ids(declaration, column) for column in texts}

    def suppose(self) -> None:
        """Decide what the ids are by the declaration and the first rows."""
        for column in ("user", "item"):
            if self._is_text(column):
                self.texts[column] = text_ids(self.declaration, column)

    def load(self) -> list[LoadedFile]:
        """Load every file."""
        loaded = self._try_load()
        if loaded is None:
            # An id after the first rows is no whole number.
            loaded = self._try_load()
        if loaded is None:
            raise AssertionError("ids that are texts cannot fail to be whole numbers")
        return loaded

    def load_part(self) -> LoadedPart:
        """Load the only file, whatever its ids turn out to be."""
        (file,) = self.files
        loaded = self._loading(file, 0).load(self.max_rejected)
        found = {column: self._find_text(0, file, column) for column in file.ids}
        self._create_keys()
        if file.role == "interactions":
            self._create_interactions()
        else:
            self._create_items()
        return LoadedPart(
            loaded, {column: (count, text) for column, (count, text) in found.items() if text is not None}
        )

    # -- what the ids are

    def _declared_type(self, column: str) -> str | None:
        if column == "user":
            return "text" if self.declaration.pseudonymise else self.declaration.interactions.user_ids
        return self.declaration.interactions.item_ids

    def _is_text(self, column: str) -> bool:
        """Return whether ids are texts, as far as the first rows show."""
        declared = self._declared_type(column)
        if declared is not None:
            return declared == "text"
        return sample_has_text([self._loading(file, n) for n, file in self._with(column)], column)

    def _with(self, column: str) -> Iterator[tuple[int, _File]]:
        """Yield the files with ids of a kind, each with its number."""
        return ((n, file) for n, file in enumerate(self.files) if column in file.ids)

    def _find_text(self, number: int, file: _File, column: str) -> tuple[int, str | None]:
        """Return how many ids that seemed to be whole numbers are none, and one of them."""
        if column in self.texts or self._declared_type(column) is not None:
            return 0, None
        view = f"raw.{quoted_name(f'{file.role} {number}')}"
        missing = f"SELECT 1 FROM {view} WHERE {quoted_name(column)} IS NULL LIMIT 1"
        has_missing = bool(self.connection.execute(missing).fetchall())
        return find_text(self._loading(file, number), column) if has_missing else (0, None)

    def _refuted(self, column: str) -> bool:
        """Return whether ids that seemed to be whole numbers are none, and say so."""
        for n, file in self._with(column):
            count, example = self._find_text(n, file, column)
            if example is not None:
                announce_texts(self.declaration, column, file.name, count, example)
                return True
        return False

    # -- the files

    def _try_load(self) -> list[LoadedFile] | None:
        """Load every file; None, with everything undone, if ids turn out to be texts."""
        loaded = [self._loading(file, n).load(self.max_rejected) for n, file in enumerate(self.files)]
        refuted = [column for column in ("user", "item") if self._refuted(column)]
        if refuted:
            self._drop_all()
            self.texts |= {column: text_ids(self.declaration, column) for column in refuted}
            return None
        self._create_keys()
        self._create_interactions()
        self._create_items()
        return loaded

    def _create_keys(self) -> None:
        for column, ids in self.texts.items():
            views = [f"raw.{quoted_name(f'{file.role} {n}')}" for n, file in self._with(column)]
            if views:
                create_keys(self.connection, ids, views)

    def _drop_all(self) -> None:
        for n, file in enumerate(self.files):
            self._drop(n, file)
        self.connection.execute("DELETE FROM raw.unparsable; DELETE FROM raw.line_shifts")

    def _drop(self, number: int, file: _File) -> None:
        name = f"{file.role} {number}"
        self.connection.execute(f"DROP VIEW raw.{quoted_name(name)}")
        for table in (f"{name} rows", f"{name} faults"):
            self.connection.execute(f"DROP TABLE IF EXISTS raw.{quoted_name(table)}")

    def _loading(self, file: _File, number: int) -> FileLoading:
        table = f"{file.role} {number}"
        source = declared_source(self.declaration, file.name, self.texts)
        return FileLoading(self.connection, self.scratch, source, file.file, table=table, dialect=file.dialect)

    # -- the views

    def _key(self, column: str) -> tuple[str, str]:
        """Return the SQL of the key of an id in the view of a file, and of the join that it needs."""
        if column not in self.texts:
            return quoted_name(column), ""
        keys = self.texts[column].keys
        return f"{column}_keys.key", (
            f" LEFT JOIN {keys} AS {column}_keys ON {quoted_name(column)} = {column}_keys.source_id"
        )

    def _create_interactions(self) -> None:
        """Create the view raw.interactions, of the only file or of a table with all rows, and raw.interaction_texts."""
        files = [(n, file) for n, file in enumerate(self.files) if file.role == "interactions"]
        is_view = len(files) == 1 and not self.texts
        # What no file has is not stored for each row.
        stored = (
            list(VALUE_TYPES)
            if is_view
            else [name for name in VALUE_TYPES if getattr(self.declaration.interactions, name)]
        )
        (user, user_join), (item, item_join) = self._key("user"), self._key("item")
        selects = [
            f"SELECT {quoted(file.name)} AS source_file, position, unreadable, {user} AS user_id,"
            f" {', '.join([f'{item} AS item_id', *map(self._column_sql, stored)])}"
            f" FROM raw.{quoted_name(f'interactions {n}')}{user_join}{item_join}"
            for n, file in files
        ]
        # Apart from the rows, as only those that are rejected are shown: to store the texts of all takes half as long
        # again as reading them.
        texts = " UNION ALL ".join(
            f"SELECT {quoted(file.name)} AS source_file, position, raw FROM raw.{quoted_name(f'interactions {n}')}"
            for n, file in files
        )
        self.connection.execute(f"CREATE VIEW raw.interaction_texts AS {texts}")
        if is_view:
            self.connection.execute(f"CREATE VIEW raw.interactions AS {selects[0]}")
            return
        for (n, _), select in zip(files, selects, strict=True):
            start = "CREATE TABLE raw.all_interactions AS" if n == files[0][0] else "INSERT INTO raw.all_interactions"
            self.connection.execute(f"{start} {select}")
        self.connection.execute(
            "CREATE VIEW raw.interactions AS SELECT source_file, position, unreadable, user_id, item_id,"
            f" {', '.join(quoted_name(name) if name in stored else self._column_sql(name) for name in VALUE_TYPES)}"
            " FROM raw.all_interactions"
        )

    def _column_sql(self, name: str) -> str:
        """Return the SQL of a column of the interactions in the view of a file."""
        declared = self.declaration.interactions
        if getattr(declared, name) is None:
            return f"NULL::{VALUE_TYPES[name]} AS {quoted_name(name)}"
        if name == "rating" and declared.unrated:
            unrated = ", ".join(f"{value}::FLOAT" for value in declared.unrated)
            return f"CASE WHEN rating NOT IN ({unrated}) THEN rating END AS rating"
        return quoted_name(name)

    def _create_items(self) -> None:
        """Create raw.items out of the files of the items, or of the ids in the interactions where there are none."""
        declared = self.declaration.items
        if declared is None:
            self.connection.execute(f"CREATE TABLE raw.items AS {items_of_interactions_sql(self.texts)}")
            return
        key, join = self._key("item")
        source_id = "item" if "item" in self.texts else "NULL::VARCHAR"
        texts = [
            f"{quoted_name(name) if getattr(declared, name) else 'NULL::VARCHAR'} AS {name}" for name in ITEM_TEXTS
        ]
        lists = [f"{list_sql(name, getattr(declared, name))} AS {name}" for name in ITEM_LISTS]
        selects = [
            f"SELECT {quoted(file.name)} AS source_file, position, raw, unreadable, {key} AS item_id,"
            f" {source_id} AS source_id, {str(declared.year_in_title).upper()} AS year_in_title,"
            f" {', '.join([*texts, *lists])} FROM raw.{quoted_name(f'items {n}')}{join}"
            for n, file in enumerate(self.files)
            if file.role == "items"
        ]
        self.connection.execute(f"CREATE TABLE raw.items AS {' UNION ALL '.join(selects)}")
