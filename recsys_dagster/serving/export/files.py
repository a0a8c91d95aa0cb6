"""Export to a folder: Parquet, CSV or JSON lines, with a manifest.

`<folder>/<domain>/latest.json` names the folder of the newest export and the checksum of each of its files. It is
replaced last, in one step. The export before it stays for readers that are still at it; older ones are removed.
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import describe_os_error, explaining_disk_full, sha256, temporary_folder, write_json
from recsys_dagster.serving.export.tables import count, exported_tables
from recsys_dagster.serving.lookup import PublishedFile

FORMATS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER", "jsonl": "FORMAT json"}
MANIFEST = "latest.json"

_EXPORT = re.compile(r"\d{8}T\d{12}")


def export_files(published: Path, folder: Path, format_: str) -> int:
    """Write every table to a new folder `<folder>/<domain>/<time>`; return the number of recommendations.

    Raises:
        RecsysError: the folder cannot be written; the exports before stay.
    """
    target = folder / published.stem
    try:
        target.mkdir(parents=True, exist_ok=True)
        with explaining_disk_full(target):
            return _export(published, target, format_)
    except OSError as error:
        raise RecsysError(describe_os_error(error)) from error


def _export(published: Path, target: Path, format_: str) -> int:
    with PublishedFile(published) as lists:
        origin = lists.provenance()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    files: dict[str, dict[str, object]] = {}
    with temporary_folder(target, name) as unfinished, duckdb.connect(published, read_only=True) as connection:
        written = unfinished / name
        written.mkdir()
        for table in exported_tables(connection):
            path = written / f"{table}.{format_}"
            quoted = str(path).replace("'", "''")
            connection.execute(f"COPY {_rows(connection, table, format_)} TO '{quoted}' ({FORMATS[format_]})")
            rows = count(connection, table)
            files[path.name] = {"rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)}
        n_lists = count(connection, "recommendations")
        written.rename(target / name)
    manifest = {
        "domain": origin.domain,
        "dataset": origin.dataset,
        "licence": origin.licence,
        "model": origin.model,
        "version": origin.version,
        "published_at": f"{origin.created_at.isoformat()}Z",
        "folder": name,
        "files": files,
    }
    write_json(target / MANIFEST, manifest)
    for old in sorted(path for path in target.iterdir() if _EXPORT.fullmatch(path.name))[:-2]:
        shutil.rmtree(old)
    return n_lists


def _rows(connection: duckdb.DuckDBPyConnection, table: str, format_: str) -> str:
    """Return what COPY reads; CSV has no lists, so they become JSON."""
    if format_ != "csv":
        return table
    columns = [
        f'to_json("{name}") AS "{name}"' if type_.endswith("[]") or type_.startswith("MAP") else f'"{name}"'
        for name, type_, *_ in connection.execute(f"DESCRIBE {table}").fetchall()
    ]
    return f"(SELECT {', '.join(columns)} FROM {table})"
