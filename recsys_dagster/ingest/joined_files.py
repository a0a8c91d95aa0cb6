"""Join declared files by a query: each file is a table that is called as the file without its ending."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.databases import write_batches
from recsys_dagster.ingest.declared_places import Place
from recsys_dagster.ingest.decompression import blocks_of, without_ending
from recsys_dagster.runtime.storage import explaining_disk_full
from recsys_dagster.runtime.text import printable

_ROWS = 2**16
_READERS = {".parquet": "read_parquet({})", ".pq": "read_parquet({})", ".jsonl": "read_json({}, format = 'auto')"}
_CSV = "read_csv({}, all_varchar = true)"


def join_files(files: Sequence[Path], query: str, shown: str, target: Path) -> None:
    """Write the rows of a query on files to `target`, a Parquet file.

    Args:
        files: CSV with a header, JSON lines or Parquet; fields of CSV files are texts.
        query: SELECT on the tables, each of which is called as its file without the ending.
        shown: what messages call the files.
        target: the file that is written; the tables are in a temporary file beside it.

    Raises:
        RecsysError: a file is no table, the query fails, or its result has no rows.
    """
    import duckdb

    database = target.with_suffix(".duckdb")
    try:
        with explaining_disk_full(target), duckdb.connect(database) as connection:
            for file in files:
                plain = Path(without_ending(file.name))
                reader = _READERS.get(plain.suffix.lower(), _CSV).format("'" + str(file).replace("'", "''") + "'")
                name = plain.stem.replace('"', '""')
                connection.execute(f'CREATE TABLE "{name}" AS FROM {reader}')
            # The query reads these tables and nothing else of this machine.
            connection.execute("SET enable_external_access = false")
            write_batches(iter(connection.sql(query).to_arrow_reader(_ROWS)), shown, target)
    except duckdb.Error as error:
        reason = printable(" ".join(str(error).split()))[:400]
        raise RecsysError(f"{shown}: {reason}; correct `query` or `files`") from None
    finally:
        database.unlink(missing_ok=True)


def joined_place(places: Sequence[Place], query: str, role: str, scratch: Path | None) -> Place:
    """Return the place of the result of a query on the files at other places.

    Args:
        places: the files.
        query: as of `join_files`.
        role: `interactions` or `items`.
        scratch: folder for the unpacked files; None: only the stamp is asked for.
    """
    stamps = [place.stamp for place in places]
    stamp = None
    if None not in stamps:
        stamp = hashlib.sha256("\n".join([query, *map(str, stamps)]).encode()).hexdigest()[:16]

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        if scratch is None:
            raise ValueError("a query needs a folder for its files")
        folder = scratch / f"{role} to be joined"
        folder.mkdir()
        files = []
        for place in places:
            files.append(folder / Path(without_ending(place.name)).name)
            with place.open() as stream, files[-1].open("wb") as file:
                file.writelines(blocks_of(stream))
        target = folder / "joined.parquet"
        join_files(files, query, places[0].shown, target)
        with target.open("rb") as file:
            yield file
        shutil.rmtree(folder)

    return Place("query.parquet", places[0].shown, stamp, opened)
