"""Load the events that `recsys serve` was told of into the table `raw.feedback`."""

import duckdb

from recsys_dagster.ingest.feedback import FEEDBACK_FILE
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.file_loading import LoadedFile
from recsys_dagster.warehouse.id_keys import KEY_OF_TEXT

_CREATE = """
CREATE TABLE raw.feedback (
    source_file VARCHAR,
    position BIGINT,
    raw VARCHAR,
    user_id BIGINT,
    user_text VARCHAR,
    item_id BIGINT,
    rating FLOAT,
    happened_at TIMESTAMP,
    is_listing BOOLEAN,
    problem VARCHAR
)
"""

_COLUMNS = "{user_id: 'VARCHAR', item_id: 'VARCHAR', event: 'VARCHAR', rating: 'FLOAT', \"time\": 'TIMESTAMPTZ'}"


def create_feedback(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table without rows."""
    connection.execute(_CREATE)


def load_feedback(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    *,
    user_texts: bool,
    item_texts: bool,
    has_pseudonyms: bool,
    sums_repeats: bool,
) -> list[LoadedFile]:
    """Fill the table with the events of a manifest; return the account of their file, if it has one.

    An event without a rating says nothing of a rating that is there: it completes the row of the source as an entry of
    a user's list does. Where the weights of several rows add up, each event is one more row.

    Args:
        connection: where the catalogue `raw` is.
        manifest: the files of the dataset.
        user_texts, item_texts: whether these ids are texts, whose keys the tables have.
        has_pseudonyms: whether users are numbers in place of names; the text of an event is not stored then.
        sums_repeats: whether the weights of several rows of a user and an item add up.
    """
    file = manifest.files.get(FEEDBACK_FILE)
    if file is None:
        return []
    user, item = (
        KEY_OF_TEXT.format(name) if is_text else f"try_cast({name} AS BIGINT)"
        for name, is_text in (("user_id", user_texts), ("item_id", item_texts))
    )
    text = (
        "concat_ws(',', item_id, event, rating)"
        if has_pseudonyms
        else "concat_ws(',', user_id, item_id, event, rating)"
    )
    connection.execute("SET timezone = 'UTC'")
    connection.execute(
        f"INSERT INTO raw.feedback SELECT {quoted(FEEDBACK_FILE)}, row_number() OVER () - 1, {text}, {user},"
        f' {"user_id" if user_texts else "NULL"}, {item}, rating, "time"::TIMESTAMP,'
        f" {'FALSE' if sums_repeats else 'rating IS NULL'}, NULL"
        f" FROM read_json({quoted(file.path)}, format = 'newline_delimited', columns = {_COLUMNS})"
    )
    # As if the file had a header, which would be line 0.
    connection.execute(f"INSERT INTO raw.line_shifts VALUES ({quoted(FEEDBACK_FILE)}, 0, -1)")
    rows = int(connection.execute("SELECT count(*) FROM raw.feedback").fetchall()[0][0])
    return [LoadedFile(FEEDBACK_FILE, rows, 0, times=rows, times_lost=0)]
