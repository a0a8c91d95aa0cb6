"""Load the files of a declared dataset, whatever their types: the views raw.interactions, raw.items and raw.users."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.ingest.declaration import (
    Declaration,
    FlagColumns,
    InteractionSource,
    ItemSource,
    ListColumn,
)
from recsys_dagster.ingest.formats import ITEM_LISTS, ITEM_TEXTS, Column, SourceFile
from recsys_dagster.ingest.manifest import Manifest, ManifestFile, is_declared_name
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.csv_values import quoted_name
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.feedback_rows import load_feedback
from recsys_dagster.warehouse.file_loading import FileLoading, LoadedFile
from recsys_dagster.warehouse.id_keys import TextIds, create_keys, find_text, sample_has_text
from recsys_dagster.warehouse.origin import IdType

_TYPES = {"rating": "FLOAT", "weight": "FLOAT", "time": "TIMESTAMP", "status": "VARCHAR", "progress": "INTEGER"}
"""Type of each column of the interactions but the ids."""

_PSEUDONYM = "pseudonym({0})"


@dataclass(frozen=True)
class _File:
    """One file of a dataset.

    Attributes:
        role: `interactions` or `items`.
        name: its name in the manifest.
        file: the file.
        ids: its columns of ids.
    """

    role: str
    name: str
    file: ManifestFile

    @property
    def ids(self) -> tuple[str, ...]:
        return ("user", "item") if self.role == "interactions" else ("item",)


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
    files = [
        _File(name.partition("/")[0], name, file)
        for name, file in sorted(manifest.files.items())
        if is_declared_name(name)
    ]
    return _DeclaredLoading(connection, scratch, declaration, files, max_rejected).load(manifest)


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
    ) -> None:
        self.connection, self.scratch, self.declaration, self.files = connection, scratch, declaration, files
        self.max_rejected = max_rejected
        self.texts: dict[str, TextIds] = {}

    def load(self, manifest: Manifest) -> tuple[list[LoadedFile], IdType, IdType]:
        """Decide what the ids are, and load every file and the events of the service."""
        for column in ("user", "item"):
            if self._is_text(column):
                self.texts[column] = self._text_ids(column)
        loaded = self._try_load()
        if loaded is None:
            # An id after the first rows is no whole number.
            loaded = self._try_load()
        if loaded is None:
            raise AssertionError("ids that are texts cannot fail to be whole numbers")
        loaded += load_feedback(
            self.connection,
            manifest,
            user_texts="user" in self.texts and not self.declaration.pseudonymise,
            item_texts="item" in self.texts,
            has_pseudonyms=self.declaration.pseudonymise,
            sums_repeats=self.declaration.sums_repeats,
        )
        self._create_users()
        user_ids: IdType = "pseudonym" if self.declaration.pseudonymise else "text"
        return loaded, user_ids if "user" in self.texts else "integer", "text" if "item" in self.texts else "integer"

    # -- what the ids are

    def _text_ids(self, column: str) -> TextIds:
        if column == "user" and self.declaration.pseudonymise:
            return TextIds(column, _PSEUDONYM)
        return TextIds(column)

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

    def _refuted(self, column: str) -> bool:
        """Return whether ids that seemed to be whole numbers are none, and say so."""
        if column in self.texts or self._declared_type(column) is not None:
            return False
        for n, file in self._with(column):
            if not self._has_missing_ids(n, file, column):
                continue
            count, example = find_text(self._loading(file, n), column)
            if count:
                announce(
                    f"{self.declaration.id}: the ids of {column}s are text, as {count:,} in {file.name} are no whole "
                    f"numbers, such as {example!r}; if these are mistakes, say `{column}_ids: integer` in the "
                    "declaration, and such rows are rejected"
                )
                return True
        return False

    def _has_missing_ids(self, number: int, file: _File, column: str) -> bool:
        view = f"raw.{quoted_name(f'{file.role} {number}')}"
        missing = f"SELECT 1 FROM {view} WHERE {quoted_name(column)} IS NULL LIMIT 1"
        return bool(self.connection.execute(missing).fetchall())

    # -- the files

    def _try_load(self) -> list[LoadedFile] | None:
        """Load every file; None, with everything undone, if ids turn out to be texts."""
        loaded = [self._loading(file, n).load(self.max_rejected) for n, file in enumerate(self.files)]
        refuted = [column for column in ("user", "item") if self._refuted(column)]
        if refuted:
            self._drop_all()
            self.texts |= {column: self._text_ids(column) for column in refuted}
            return None
        for column, ids in self.texts.items():
            views = [f"raw.{quoted_name(f'{file.role} {n}')}" for n, file in self._with(column)]
            create_keys(self.connection, ids, views)
        self._create_interactions()
        self._create_items()
        return loaded

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
        return FileLoading(self.connection, self.scratch, self._source(file), file.file, table=f"{file.role} {number}")

    def _source(self, file: _File) -> SourceFile:
        """Return what a file should be."""
        declared: InteractionSource | ItemSource | None = (
            self.declaration.interactions if file.role == "interactions" else self.declaration.items
        )
        if declared is None:
            raise ValueError(f"{file.name}: the declaration has no items")
        columns = [self._column_of_id(column, str(getattr(declared, column))) for column in file.ids]
        if isinstance(declared, InteractionSource):
            headings = {name: getattr(declared, name) for name in _TYPES}
            columns += [self._column(name, heading) for name, heading in headings.items() if heading]
        else:
            columns += [Column(name, heading=heading) for name, heading in _item_headings(declared).items()]
        return SourceFile(file.name, tuple(columns), delimiter=declared.delimiter, has_header=declared.columns is None)

    def _column(self, name: str, heading: str) -> Column:
        is_time, is_rating = name == "time", name == "rating"
        return Column(
            name,
            _TYPES[name],
            heading=heading,
            time_format=self.declaration.interactions.time_format if is_time else None,
            votes=self.declaration.scale if is_rating else None,
        )

    def _column_of_id(self, column: str, heading: str) -> Column:
        is_text = column in self.texts
        return Column(
            column,
            "VARCHAR" if is_text else "BIGINT",
            heading=heading,
            is_strict=not is_text,
            personal=column == "user" and self.declaration.pseudonymise,
        )

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
        stored = list(_TYPES) if is_view else [name for name in _TYPES if getattr(self.declaration.interactions, name)]
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
            f" {', '.join(quoted_name(name) if name in stored else self._column_sql(name) for name in _TYPES)}"
            " FROM raw.all_interactions"
        )

    def _column_sql(self, name: str) -> str:
        """Return the SQL of a column of the interactions in the view of a file."""
        declared = self.declaration.interactions
        if getattr(declared, name) is None:
            return f"NULL::{_TYPES[name]} AS {quoted_name(name)}"
        if name == "rating" and declared.unrated:
            unrated = ", ".join(f"{value}::FLOAT" for value in declared.unrated)
            return f"CASE WHEN rating NOT IN ({unrated}) THEN rating END AS rating"
        return quoted_name(name)

    def _create_items(self) -> None:
        """Create raw.items out of the files of the items, or of the ids in the interactions where there are none."""
        declared = self.declaration.items
        if declared is None:
            self.connection.execute(f"CREATE TABLE raw.items AS {self._items_of_interactions()}")
            return
        key, join = self._key("item")
        source_id = "item" if "item" in self.texts else "NULL::VARCHAR"
        texts = [
            f"{quoted_name(name) if getattr(declared, name) else 'NULL::VARCHAR'} AS {name}" for name in ITEM_TEXTS
        ]
        lists = [f"{_list_sql(name, getattr(declared, name))} AS {name}" for name in ITEM_LISTS]
        selects = [
            f"SELECT {quoted(file.name)} AS source_file, position, raw, unreadable, {key} AS item_id,"
            f" {source_id} AS source_id, {str(declared.year_in_title).upper()} AS year_in_title,"
            f" {', '.join([*texts, *lists])} FROM raw.{quoted_name(f'items {n}')}{join}"
            for n, file in enumerate(self.files)
            if file.role == "items"
        ]
        self.connection.execute(f"CREATE TABLE raw.items AS {' UNION ALL '.join(selects)}")

    def _items_of_interactions(self) -> str:
        """Return the SELECT of items of which nothing is known but that they are in the interactions."""
        if "item" in self.texts:
            ids = f"SELECT key AS item_id, source_id FROM {self.texts['item'].keys}"
        else:
            ids = "SELECT DISTINCT item_id, NULL::VARCHAR AS source_id FROM raw.interactions WHERE item_id IS NOT NULL"
        unknown = [f"NULL::VARCHAR AS {name}" for name in ITEM_TEXTS] + [
            f"NULL::VARCHAR[] AS {name}" for name in ITEM_LISTS
        ]
        return (
            "SELECT NULL::VARCHAR AS source_file, 0::BIGINT AS position, NULL::VARCHAR AS raw, FALSE AS unreadable,"
            f" item_id, source_id, FALSE AS year_in_title, {', '.join(unknown)} FROM ({ids})"
        )

    def _create_users(self) -> None:
        """Create raw.users: the ids of users that are texts and may be kept."""
        keys = None
        if "user" in self.texts:
            keys = (
                f"SELECT key AS user_id, source_id FROM {self.texts['user'].keys} UNION"
                " SELECT user_id, user_text FROM raw.feedback WHERE user_text IS NOT NULL"
            )
        if keys is None or self.declaration.pseudonymise:
            keys = "SELECT NULL::BIGINT AS user_id, NULL::VARCHAR AS source_id WHERE FALSE"
        self.connection.execute(f"CREATE VIEW raw.users AS {keys}")


def _item_headings(declared: ItemSource) -> dict[str, str]:
    """Return the heading of each column of the items but the id; flags are columns of their own."""
    headings: dict[str, str] = {}
    for name in (*ITEM_TEXTS, *ITEM_LISTS):
        value = getattr(declared, name)
        if isinstance(value, ListColumn):
            headings[name] = value.column
        elif isinstance(value, FlagColumns):
            headings |= {f"{name} {flag}": flag for flag in value.flags}
        elif value is not None:
            headings[name] = str(value)
    return headings


def _list_sql(name: str, declared: str | ListColumn | FlagColumns | None) -> str:
    """Return the SQL of the values of a column with several values, VARCHAR[]."""
    if declared is None:
        return "NULL::VARCHAR[]"
    if isinstance(declared, FlagColumns):
        flags = ", ".join(
            f"CASE WHEN lower(trim({quoted_name(f'{name} {flag}')})) IN ('1', '1.0', 'true', 't', 'yes', 'y')"
            f" THEN {quoted(flag)} END"
            for flag in declared.flags
        )
        return f"list_filter([{flags}], LAMBDA value: value IS NOT NULL)"
    text = quoted_name(name)
    if isinstance(declared, ListColumn) and declared.separator is not None:
        return f"list_transform(string_split({text}, {quoted(declared.separator)}), LAMBDA value: trim(value))"
    # A list as JSON or as Python writes it, else a single value.
    is_json = f"json_valid({text}) AND json_type(CASE WHEN json_valid({text}) THEN {text} END) = 'ARRAY'"
    inside = f"regexp_replace({text}, '^\\s*\\[\\s*[''\"]?|[''\"]?\\s*\\]\\s*$', '', 'g')"
    return (
        f"CASE WHEN {is_json} THEN from_json(CASE WHEN {is_json} THEN {text} END, '[\"VARCHAR\"]')"
        f" WHEN regexp_full_match({text}, '\\s*\\[.*\\]\\s*')"
        f" THEN string_split_regex({inside}, '[''\"]?\\s*,\\s*[''\"]?')"
        f" WHEN {text} IS NOT NULL THEN [{text}] END"
    )
