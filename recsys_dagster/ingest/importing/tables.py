"""Show files of the same columns to DuckDB as one relation."""

from collections.abc import Sequence
from dataclasses import dataclass

from recsys_dagster.ingest.declaration import Files
from recsys_dagster.ingest.importing.looking import FileLook


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        type: DuckDB's type; VARCHAR in CSV files.
    """

    name: str
    type: str = "VARCHAR"

    @property
    def is_list(self) -> bool:
        """Whether its values are lists."""
        return self.type.endswith("[]")

    @property
    def is_nested(self) -> bool:
        """Whether its values are records or lists of them, which no column of a declaration can name."""
        return self.type.startswith(("STRUCT", "MAP", "UNION"))


@dataclass(frozen=True)
class Table:
    """Files with the same columns.

    Attributes:
        files: how a declaration names them.
        looks: each file.
        columns: in order.
        archive: the ZIP archive that the files are in, as the user named it.
    """

    files: Files
    looks: tuple[FileLook, ...]
    columns: tuple[Column, ...]
    archive: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: the name of its file."""
        if self.files.query is not None:
            return "the query"
        first = self.looks[0].path.name
        return first if len(self.looks) == 1 else f"{first} and {len(self.looks) - 1} more"

    @property
    def has_names(self) -> bool:
        """Whether the columns have names of their own."""
        return not self.looks[0].is_text or self.looks[0].has_header

    def column(self, name: str) -> Column | None:
        """Return the column of a name, which need not have its case if only one has it; None if there is none."""
        exact = [column for column in self.columns if column.name == name]
        alike = [column for column in self.columns if column.name.casefold() == name.strip().casefold()]
        return exact[0] if exact else alike[0] if len(alike) == 1 else None

    def sql(self, *, rejects: bool = False) -> str:
        """Return the relation of all rows, with the columns of the table; fields of CSV files are text.

        Args:
            rejects: whether rows of a CSV file that cannot be divided into fields are stored in the table
                `reject_errors`; else they are skipped.
        """
        paths = ", ".join(_quoted(str(look.path)) for look in self.looks)
        first = self.looks[0]
        if first.format == "parquet":
            return f"read_parquet([{paths}], union_by_name = true)"
        if first.format == "jsonl":
            lines = "format = 'newline_delimited', ignore_errors = true"
            how = "format = 'array'" if first.is_array else lines
            return f"read_json([{paths}], {how}, union_by_name = true)"
        columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in unique_names(first.columns))
        stored = "store_rejects = true, rejects_limit = 100000" if rejects else "ignore_errors = true"
        quote = _quoted(first.quote)
        return (
            f"read_csv([{paths}], auto_detect = false, header = {first.has_header}, delim = {_quoted(first.delimiter)},"
            f" quote = {quote}, escape = {quote}, columns = {{{columns}}}, {stored})"
        )


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names; one that comes again, in any case, gets a number."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        count = seen[name.casefold()] = seen.get(name.casefold(), 0) + 1
        unique.append(name if count == 1 else f"{name} ({count})")
    return unique


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
