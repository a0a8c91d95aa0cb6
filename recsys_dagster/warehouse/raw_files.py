"""Load raw files into tables of the temporary catalogue `raw`.

For a file such as `ratings.csv` the catalogue has a view `raw.ratings` with the columns

- of the format, under their canonical names and with their types, NULL where a value is missing or cannot be read;
- `position`: which of the loaded rows it is, from 0;
- `unreadable`: whether a value other than a time cannot be read as its type;
- `raw`: the text of the row without personal data; NULL where that is not known.

`raw.unparsable` has the rows that could not be divided into fields, `raw.line_shifts` what is needed to compute the
line of a row from its position, `raw.users` the ids of users that are texts, `raw.feedback` the events of the service.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.formats import SourceFile
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.csv_values import quoted_name
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.declared_files import load_declared
from recsys_dagster.warehouse.feedback_rows import create_feedback, load_feedback
from recsys_dagster.warehouse.file_loading import FileLoading, LoadedFile
from recsys_dagster.warehouse.origin import IdType


@dataclass(frozen=True)
class Loaded:
    """What was loaded of a dataset.

    Attributes:
        files: its files.
        user_ids, item_ids: as of `Origin`.
    """

    files: list[LoadedFile]
    user_ids: IdType
    item_ids: IdType


def table_name(source: SourceFile) -> str:
    """Return the name of the view of a file in the catalogue `raw`."""
    return Path(source.name).stem


def load_raw(
    connection: duckdb.DuckDBPyConnection, scratch: Path, dataset: Dataset, manifest: Manifest, *, max_rejected: float
) -> Loaded:
    """Load every file of a dataset into the catalogue `raw`, a temporary database file.

    Args:
        connection: gets the catalogue attached.
        scratch: existing folder for temporary files.
        dataset: the dataset.
        manifest: its files.
        max_rejected: share of the rows of a file that may be rejected, for messages.

    Raises:
        RecsysError: a quoted field is never closed, too many rows cannot be read, or the file is not CSV at all.
    """
    create_catalogue(connection, scratch)
    if dataset.declaration is not None:
        return Loaded(*load_declared(connection, scratch, dataset.declaration, manifest, max_rejected=max_rejected))
    connection.execute("CREATE TABLE raw.users (user_id BIGINT, source_id VARCHAR)")
    loaded = []
    for source in dataset.format.files:
        file = manifest.files.get(source.name)
        if file is None:
            view = f"raw.{quoted_name(table_name(source))}"
            connection.execute(f"CREATE VIEW {view} AS {missing_file_sql(source)}")
        else:
            loading = FileLoading(connection, scratch, source, file, table=table_name(source))
            loaded.append(loading.load(max_rejected))
    has_names = names_users(dataset)
    loaded += load_feedback(
        connection, manifest, user_texts=False, item_texts=False, has_pseudonyms=has_names, sums_repeats=False
    )
    return Loaded(loaded, "pseudonym" if has_names else "integer", "integer")


def names_users(dataset: Dataset) -> bool:
    """Return whether the files of a built-in format have the names of users."""
    return any(column.personal for file in dataset.format.files for column in file.columns)


def create_catalogue(connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
    """Attach the catalogue `raw`, a temporary file, with the tables that every dataset has, without rows."""
    connection.execute(f"ATTACH {quoted(scratch / 'raw.duckdb')} AS raw")
    connection.execute("CREATE TABLE raw.unparsable (source_file VARCHAR, line BIGINT, raw VARCHAR)")
    connection.execute("CREATE TABLE raw.line_shifts (source_file VARCHAR, position BIGINT, extra_lines BIGINT)")
    create_feedback(connection)


def missing_file_sql(source: SourceFile) -> str:
    """Return the SELECT of the view of a file that is missing."""
    columns = ", ".join(f"NULL::{column.type} AS {quoted_name(column.name)}" for column in source.columns)
    return f"SELECT 0::BIGINT AS position, NULL::VARCHAR AS raw, FALSE AS unreadable, {columns} WHERE FALSE"
