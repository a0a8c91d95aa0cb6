"""Find the tables in what a user names: files, folders, patterns, archives, web addresses and databases."""

import fnmatch
import glob
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.ingest.archive import require_space
from recsys_dagster.ingest.databases import database_file, database_kind, export
from recsys_dagster.ingest.declaration import Files
from recsys_dagster.ingest.importing.looking import FileLook, NotATableError, look_at_file, opened
from recsys_dagster.ingest.importing.tables import Column, Table, unique_names
from recsys_dagster.ingest.joined_files import join_files
from recsys_dagster.ingest.remote_places import is_remote, remote_places
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".item", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".base")
_PACKED = (".gz", ".zst", ".zstd")
_NOT_DATA = ("readme*", "licen?e*", "*.md", "*.html", "*.pdf", "*.sh", "*.pl", "*.py", "*.md5", "*.xml", "*.yaml")
_SHOWN = 10


@dataclass(frozen=True)
class Reading:
    """What a user says of the files.

    Attributes:
        header: whether CSV files have one; None: found out.
        delimiter: of CSV files; None: found out.
        columns: names of the columns of CSV files without a header; None: by their numbers.
        members: names or patterns of the files of an archive that are read; empty: all.
    """

    header: bool | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finder:
    """Finds tables.

    Attributes:
        scratch: existing folder for unpacked, recoded and downloaded files.
        connection: asked for the columns of Parquet files and JSON lines.
        settings: have the limits of downloads.
        reading: what the user says of the files.
    """

    scratch: Path
    connection: "duckdb.DuckDBPyConnection"
    settings: Settings
    reading: Reading = field(default_factory=Reading)

    def find(self, words: Sequence[str]) -> list[Table]:
        """Return the tables in files, folders, patterns, archives and web addresses, one for all of the same columns.

        Raises:
            UsageError: nothing is there.
            RecsysError: a file cannot be read.
        """
        tables: list[Table] = []
        for word in words:
            path = Path(word).expanduser().absolute()
            if is_remote(word):
                tables += self._remote(word)
            elif path.is_file() and _is_archive(path):
                tables += self._in_archive(path, str(path))
            else:
                tables += self._of_files(word, path)
        return _merged(tables)

    def query(self, address: str, query: str, folder: Path) -> Table:
        """Return the table that a query on a database gives.

        Args:
            address: as of `export`.
            query: SELECT that gives the rows.
            folder: that a relative path in the address is relative to.

        Raises:
            RecsysError: the database cannot be reached, or the query fails or gives no rows.
        """
        target = self._folder("query") / "query.parquet"
        if database_kind(address, folder) != "postgresql":
            address = str(database_file(address, folder))
        export(address, query, folder, target)
        look = FileLook(target, "parquet")
        return Table(Files(database=address, query=query), (look,), self._columns(look))

    def joined(self, tables: Sequence[Table], source: Files) -> Table:
        """Return the table that the query of a declaration gives on files.

        Raises:
            RecsysError: the query fails or gives no rows.
        """
        target = self._folder("joined") / "query.parquet"
        paths = [look.path for table in tables for look in table.looks]
        join_files(paths, source.query or "", ", ".join(path.name for path in paths), target)
        look = FileLook(target, "parquet")
        files = Files(files=source.files, query=source.query)
        return Table(files, (look,), self._columns(look), tables[0].archive)

    def _folder(self, name: str) -> Path:
        """Create an empty folder."""
        folder = self.scratch / f"{len(list(self.scratch.iterdir()))}-{name}"
        folder.mkdir()
        return folder

    def _remote(self, word: str) -> list[Table]:
        """Return the tables behind a web address or in an object store."""
        folder = self._folder("remote")
        files = []
        for place in remote_places([word], self.settings, folder):
            target = folder / place.name
            with place.open() as stream, target.open("wb") as file:
                shutil.copyfileobj(stream, file)
            files.append(target)
        if len(files) == 1 and _is_archive(files[0]):
            return self._in_archive(files[0], word)
        tables = self._tables(files, [word] * len(files))
        if len(tables) > 1:
            raise RecsysError(f"{printable(word)}: files with different columns; name those of one kind")
        return [replace(tables[0], files=tables[0].files.model_copy(update={"files": (word,)}))]

    def _of_files(self, word: str, path: Path) -> list[Table]:
        """Return the tables of a file, a folder or a pattern."""
        if path.is_file():
            return self._tables([path], [str(path)])
        pattern = f"{glob.escape(str(path))}/**" if path.is_dir() else str(path)
        found = map(Path, sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207 (parents may have patterns)
        files = [file for file in found if file.is_file() and (not path.is_dir() or is_data_file(file.name))]
        if not files:
            raise UsageError(f"{printable(word)}: {_missing(path)}")
        tables = self._tables(files, [str(file) for file in files])
        endings = {"".join(file.suffixes) for file in files}
        if len(tables) == 1 and len(tables[0].looks) == len(files) and len(endings) == 1:
            # Files that are added later belong to it.
            declared = f"{path}/**/*{endings.pop()}" if path.is_dir() and _has_others(path, files) else str(path)
            return [replace(tables[0], files=tables[0].files.model_copy(update={"files": (declared,)}))]
        return tables

    def _in_archive(self, path: Path, named: str) -> list[Table]:
        """Return the tables of an archive, whose files are unpacked into the scratch folder."""
        folder = self._folder("archive")
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if self._is_read(member)]
                if not members:
                    wanted = ", ".join(self.reading.members) or "no CSV, JSON lines or Parquet file"
                    raise UsageError(f"{printable(named)}: {wanted} not in this archive")
                require_space(folder, sum(member.file_size for member in members))
                files = []
                for number, member in enumerate(members):
                    target = folder / str(number) / PurePosixPath(member.filename).name
                    target.parent.mkdir()
                    with archive.open(member) as packed, target.open("wb") as file:
                        shutil.copyfileobj(packed, file)
                    files.append(target)
        except (zipfile.BadZipFile, RuntimeError, EOFError, NotImplementedError) as error:
            raise RecsysError(
                f"{printable(named)}: not a whole ZIP archive without password ({printable(str(error))})"
            ) from None
        tables = self._tables(files, [member.filename for member in members], lenient=True)
        return [replace(table, archive=named) for table in tables]

    def _is_read(self, member: zipfile.ZipInfo) -> bool:
        """Return whether a file of an archive is to be read, by its path or its base name."""
        name = member.filename
        base = PurePosixPath(name).name
        if member.is_dir() or name.startswith("__MACOSX"):
            return False
        if not self.reading.members:
            return is_data_file(base)
        return any(fnmatch.fnmatchcase(one, pattern) for one in (name, base) for pattern in self.reading.members)

    def _tables(self, files: Sequence[Path], names: Sequence[str], *, lenient: bool = False) -> list[Table]:
        """Return one table for all files with the same columns.

        Args:
            files: the files.
            names: what a declaration calls each.
            lenient: whether files that hold no table are passed over.
        """
        groups: dict[tuple[object, ...], list[tuple[str, FileLook]]] = {}
        columns: dict[tuple[object, ...], tuple[Column, ...]] = {}
        for file, name in zip(files, names, strict=True):
            try:
                look = self._look(file)
                described = self._columns(look)
            except NotATableError:
                if len(files) == 1 or not lenient:
                    raise
                continue
            order = [column.name for column in described]
            same = tuple(order) if look.is_text else tuple(sorted(order))
            key = (look.format, same, look.delimiter, look.quote, look.has_header, look.encoding, look.is_array)
            groups.setdefault(key, []).append((name, self._recoded(look)))
            columns.setdefault(key, described)
        tables = []
        for group, members in groups.items():
            looks = tuple(look for _, look in members)
            tables.append(Table(_as_declared([name for name, _ in members], looks[0]), looks, columns[group]))
        return tables

    def _look(self, file: Path) -> FileLook:
        look = look_at_file(file, header=self.reading.header, delimiter=self.reading.delimiter)
        names = self.reading.columns
        if not look.is_text or names is None:
            return look
        if len(names) != len(look.columns):
            raise NotATableError(
                f"{file} has {len(look.columns)} columns, and {len(names)} are named; name all of them in order"
            )
        return replace(look, columns=names)

    def _columns(self, look: FileLook) -> tuple[Column, ...]:
        """Return the columns of a file."""
        import duckdb

        if look.is_text:
            return tuple(Column(name) for name in unique_names(look.columns))
        relation = Table(Files(files=("x",)), (look,), ()).sql()
        try:
            rows = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            reason = printable(str(error).splitlines()[0])
            kind = "Parquet" if look.format == "parquet" else "JSON"
            raise NotATableError(f"{look.path}: not readable as {kind} ({reason}); take a fresh copy") from None
        return tuple(Column(name, type_) for name, type_, *_ in rows)

    def _recoded(self, look: FileLook) -> FileLook:
        """Return the file in UTF-8 and unpacked where DuckDB could not read it as it is."""
        if not look.is_text or look.encoding == "utf-8":
            return look
        target = self._folder("recoded") / look.path.name.removesuffix(".gz").removesuffix(".zst")
        with opened(look.path) as stream, target.open("w", encoding="utf-8", newline="") as file:
            while block := stream.read(2**22):
                file.write(block.decode(look.encoding, "replace"))
        return replace(look, path=target)


def _has_others(folder: Path, files: Sequence[Path]) -> bool:
    """Return whether a folder has other files than the given ones, such as a README."""
    return any(file.is_file() and file not in files and not file.name.startswith(".") for file in folder.rglob("*"))


def _missing(path: Path) -> str:
    if path.is_dir():
        return "no CSV, JSON lines or Parquet file in this folder; name the files"
    if not path.parent.is_dir():
        return f"there is no folder {printable(str(path.parent))}; name an existing file, folder or pattern"
    near = sorted(file.name for file in path.parent.iterdir() if is_data_file(file.name))[:_SHOWN]
    return f"no such file; {'there are ' + ', '.join(map(printable, near)) if near else 'name an existing one'}"


def is_data_file(name: str) -> bool:
    """Return whether a file of a folder or an archive may hold a table, by its name."""
    lower = name.casefold()
    for ending in _PACKED:
        lower = lower.removesuffix(ending)
    if lower.startswith(("._", ".")) or any(fnmatch.fnmatch(lower, pattern) for pattern in _NOT_DATA):
        return False
    return lower.endswith(_ENDINGS)


def _is_archive(path: Path) -> bool:
    return zipfile.is_zipfile(path) and path.suffix.casefold() not in (".xlsx", ".ods")


def _as_declared(names: Sequence[str], look: FileLook) -> Files:
    """Return how a declaration says where the files are and how they are written."""
    csv = look.is_text
    return Files(
        files=tuple(names),
        format=None if _format_by_ending(names[0]) == look.format else look.format,
        columns=look.columns if csv and not look.has_header else None,
        delimiter=look.delimiter if csv and look.delimiter != "," else None,
        encoding=look.encoding,
    )


def _format_by_ending(name: str) -> str | None:
    lower = name.casefold()
    for ending in _PACKED:
        lower = lower.removesuffix(ending)
    by_ending = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    return by_ending.get(PurePosixPath(lower).suffix)


def _merged(tables: Iterable[Table]) -> list[Table]:
    """Join the tables that several words named and that have the same columns."""
    merged: list[Table] = []
    for table in tables:
        for place, other in enumerate(merged):
            if _how(other) == _how(table) and other.columns == table.columns and other.archive == table.archive:
                files = other.files.model_copy(update={"files": (*other.files.files, *table.files.files)})
                merged[place] = replace(other, files=files, looks=(*other.looks, *table.looks))
                break
        else:
            merged.append(table)
    return merged


def _how(table: Table) -> Files:
    return table.files.model_copy(update={"files": ("x",)})
