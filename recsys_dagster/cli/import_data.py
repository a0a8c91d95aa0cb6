"""`recsys import`."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_dagster.cli.console import console
from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.formatting import format_share
from recsys_dagster.runtime.text import printable
from recsys_dagster.settings import read_settings_before_import

if TYPE_CHECKING:
    from recsys_dagster.ingest.declaration import Declaration
    from recsys_dagster.ingest.importing.contents import Content
    from recsys_dagster.ingest.importing.described import Described, Proposal
    from recsys_dagster.ingest.importing.tables import Table as SourceTable
    from recsys_dagster.settings import Settings

_MEMORY = "2GB"
_SHOWN_CHARACTERS = 28

_Column = Annotated[str | None, typer.Option(metavar="COLUMN", show_default=False)]


def import_data(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE…",
            help="Files, folders, patterns, ZIP archives or web addresses of the ratings, plays or purchases.",
            show_default=False,
        ),
    ] = None,
    items: Annotated[
        list[str] | None,
        typer.Option("--items", metavar="FILE", help="File of the items, if it is not among the others."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the dataset; by default that of the file or its folder.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", "-d", help="Its domain: anime, movie, or a new one, by default the name.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="COLUMN", help="Column of the users.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="COLUMN", help="Column of the items.")] = None,
    rating: Annotated[str | None, typer.Option("--rating", metavar="COLUMN", help="Column of the ratings.")] = None,
    weight: Annotated[
        str | None, typer.Option("--weight", metavar="COLUMN", help="Column of plays, minutes, quantities.")
    ] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="COLUMN", help="Column of the times.")] = None,
    time_format: Annotated[
        str | None,
        typer.Option("--time-format", metavar="FORMAT", help="day-first, month-first, or such as %Y%m%d."),
    ] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="COLUMN", help="Column of watching, …")] = None,
    progress: Annotated[
        str | None, typer.Option("--progress", metavar="COLUMN", help="Column of episodes seen.")
    ] = None,
    items_id: Annotated[
        str | None, typer.Option("--items-id", metavar="COLUMN", help="Column of the ids in the file of items.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="COLUMN", help="Column of titles or names.")] = None,
    genres: Annotated[str | None, typer.Option("--genres", metavar="COLUMN", help="Column of genres or tags.")] = None,
    creators: Annotated[
        str | None, typer.Option("--creators", metavar="COLUMN", help="Column of authors, brands.")
    ] = None,
    year: Annotated[str | None, typer.Option("--year", metavar="COLUMN", help="Column of years.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="COLUMN", help="Column of kinds, such as TV.")] = None,
    scale: Annotated[
        tuple[float, float] | None, typer.Option("--scale", metavar="LOW HIGH", help="Lowest and highest rating.")
    ] = None,
    liked_from: Annotated[
        float | None,
        typer.Option("--liked-from", help="A rating at or above it is a like; default: 7/9 up the scale."),
    ] = None,
    unrated: Annotated[
        list[float] | None, typer.Option("--unrated", help="A value that stands for no rating, such as 0.")
    ] = None,
    implicit: Annotated[bool, typer.Option("--implicit", help="There are no ratings.")] = False,
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="Replace user ids, such as e-mail addresses, by pseudonyms.")
    ] = False,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether CSV files have one.", show_default=False)
    ] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Text between the fields of CSV files.")] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="SELECT", help="Rows of the interactions; FILE is then a database."),
    ] = None,
    items_query: Annotated[
        str | None, typer.Option("--items-query", metavar="SELECT", help="Rows of the items in that database.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE.yaml", help="Check a declaration written by hand.")
    ] = None,
) -> None:
    """Make a dataset of your own files: ratings, plays or purchases, in any shape.

    It is found out by the names of the columns and by what is in them which one is the user, the item, the rating
    and so on; this is shown, and written as RECSYS_HOME/datasets/NAME.yaml if you agree. What was found out wrong
    is told by an option, and importing again replaces the file. Examples:

    [dim]recsys import orders.csv --items products.csv --name shop[/dim]

    [dim]recsys import plays/ --user listener --item track --weight plays --implicit[/dim]

    [dim]recsys import goodbooks-10k[/dim]  (a public dataset that is declared already)

    [dim]recsys import --check data/datasets/shop.yaml[/dim]
    """
    settings = read_settings_before_import()
    if (check is None) == (not files):
        raise UsageError("name files to import, or a declaration with --check; see `recsys import --help`")
    if query is not None and len(files or []) != 1:
        raise UsageError("--query needs one database: postgresql://user@host/name, or a SQLite or DuckDB file")
    from recsys_dagster.ingest.public_datasets import public_declarations

    if files and len(files) == 1 and files[0] in public_declarations() and not Path(files[0]).exists():
        _declare_public(files[0], settings, yes=yes)
        return
    import duckdb

    from recsys_dagster.ingest.importing.checking import check_declaration
    from recsys_dagster.ingest.importing.described import Given
    from recsys_dagster.ingest.importing.finding import Finder, Reading
    from recsys_dagster.ingest.importing.proposal import propose

    columns = {"user": user, "item": item, "rating": rating, "weight": weight, "time": time}
    columns |= {"status": status, "progress": progress}
    item_columns = {
        "item": items_id,
        "title": title,
        "genres": genres,
        "creators": creators,
        "year": year,
        "kind": kind,
    }
    with tempfile.TemporaryDirectory(prefix="recsys-import-") as folder, duckdb.connect() as connection:
        scratch = Path(folder)
        connection.execute(f"SET memory_limit = '{settings.memory_limit or _MEMORY}'")
        connection.execute(f"SET temp_directory = '{str(scratch / 'spill').replace(chr(39), chr(39) * 2)}'")
        finder = Finder(scratch, connection, settings, Reading(header, _unescaped(delimiter)))
        if check is not None:
            proposal = check_declaration(check.absolute(), finder)
            _show(proposal)
            typer.echo(f"{printable(str(check))} is valid.")
            _show_next(proposal.declaration, settings, check)
            return
        given = Given(
            name=name,
            domain=domain,
            columns={role: column for role, column in columns.items() if column},
            item_columns={role: column for role, column in item_columns.items() if column},
            scale=scale,
            liked_from=liked_from,
            unrated=tuple(unrated or ()),
            implicit=implicit,
            time_format=time_format,
            pseudonymise=pseudonymise,
            query=query,
            items_query=items_query,
        )
        proposal = propose(files or [], items or [], given, finder)
        _show(proposal)
    _write(proposal, settings, yes=yes)


def _unescaped(delimiter: str | None) -> str | None:
    """Return the delimiter; a shell has no easy way to type a tab."""
    return "\t" if delimiter in ("\\t", "tab") else delimiter


def _declare_public(dataset_id: str, settings: "Settings", *, yes: bool) -> None:
    """Write the declaration of a public dataset that is named by its id; a run fetches its archive."""
    from recsys_dagster.ingest.public_datasets import public_declarations, public_text
    from recsys_dagster.runtime.layout import Layout
    from recsys_dagster.runtime.storage import replacing

    declaration = public_declarations()[dataset_id]
    path = Layout(settings.home).declaration(dataset_id)
    typer.echo(f"{dataset_id}: {declaration.summary}. {declaration.homepage}\nLicence: {declaration.licence}.")
    replaces = _ask(path, yes=yes)
    with replacing(path) as temporary:
        temporary.write_text(public_text(dataset_id), encoding="utf-8")
    typer.echo(f"Written: {printable(str(path))}{replaces}.")
    _show_next(declaration, settings, path)


def _ask(path: Path, *, yes: bool) -> str:
    """Ask whether a declaration may be written, and return what is to be said of one that it replaces."""
    replaces = ", replacing the one that is there" if path.exists() else ""
    if not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(f"nothing is written yet: say --yes to write {path}{replaces}")
        typer.confirm(f"Write {printable(str(path))}{replaces}?", default=True, abort=True)
    return replaces


def _write(proposal: "Proposal", settings: "Settings", *, yes: bool) -> None:
    """Write the declaration after a yes, and say what to do next."""
    from recsys_dagster.ingest.catalogue import CATALOGUE
    from recsys_dagster.ingest.importing.writing import write_declaration
    from recsys_dagster.ingest.public_datasets import public_declarations
    from recsys_dagster.runtime.layout import Layout

    path = Layout(settings.home).declaration(proposal.declaration.id)
    if proposal.declaration.id in CATALOGUE and proposal.declaration.id not in public_declarations():
        raise UsageError(
            f"{proposal.declaration.id} is a dataset that comes with recsys; choose another name with --name"
        )
    replaces = _ask(path, yes=yes)
    write_declaration(proposal, path)
    typer.echo(f"Written: {printable(str(path))}{replaces}.")
    _show_next(proposal.declaration, settings, path)


def _show_next(declaration: "Declaration", settings: "Settings", path: Path) -> None:
    from recsys_dagster.ingest.domain_lookup import get_domain
    from recsys_dagster.runtime.layout import Layout
    from recsys_dagster.settings import dataset_variable

    place = Layout(settings.home).declaration(declaration.id)
    if path.absolute() != place:
        typer.echo(f"Next: copy it to {printable(str(place))}, where runs look for it.")
        return
    chosen = settings.dataset_of(get_domain(declaration.domain, settings))
    prefix = "" if chosen == declaration.id else f"{dataset_variable(declaration.domain)}={declaration.id} "
    typer.echo(f"Next: {prefix}recsys run --domain {declaration.domain}")


def _show(proposal: "Proposal") -> None:
    """Print what was found: the columns of each table, and the counts."""
    screen = console()
    if proposal.public is not None:
        screen.print(f"These are the files of {proposal.public}, whose columns are known.\n")
    screen.print(printable(_how(proposal.interactions.table)), style="bold", soft_wrap=True)
    screen.print(_columns_table(proposal.interactions))
    screen.print()
    for line in _counts(proposal):
        screen.print(line, soft_wrap=True)
    if proposal.items is not None:
        screen.print()
        screen.print(printable(_how(proposal.items.table)), style="bold", soft_wrap=True)
        screen.print(_columns_table(proposal.items))
        screen.print()
        for line in _item_counts(proposal):
            screen.print(line, soft_wrap=True)
    if proposal.unused:
        screen.print(f"\nNot used: {printable(', '.join(proposal.unused))}", soft_wrap=True)
    screen.print()


def _how(table: "SourceTable") -> str:
    """Describe how the files of a table are written."""
    look = table.looks[0]
    if not look.is_text:
        how = "Parquet" if look.format == "parquet" else "a JSON array" if look.is_array else "JSON lines"
        return f"{table.name}: {how}"
    delimiters = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
    between = delimiters.get(look.delimiter, look.delimiter)
    return f"{table.name}: CSV with {between}, {'a' if look.has_header else 'no'} header, {look.encoding.upper()}"


def _columns_table(described: "Described") -> Table:
    """Return a table with one row for each column of a file."""
    meanings = {column: role for role, column in described.roles.columns.items()}
    table = Table("column", "used as", "type", box=None, pad_edge=False)
    table.add_column("first values", overflow="fold", ratio=1)
    for one in described.contents:
        meaning = meanings.get(one.column.name, "")
        table.add_row(
            printable(one.column.name),
            meaning or "ignored",
            one.type_name,
            _examples(one),
            style="" if meaning else "dim",
        )
    return table


def _examples(content: "Content") -> str:
    shown = (printable(example[: _SHOWN_CHARACTERS + 1]) for example in content.examples)
    return ", ".join(text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…" for text in shown)


def _counts(proposal: "Proposal") -> Sequence[str]:
    """Return the lines about users, items, ratings and times."""
    found, declaration = proposal.survey, proposal.declaration
    faults = ", ".join(f"{count:,} {reason}" for reason, count in sorted(found.faults.items()))
    share = format_share(found.usable / found.rows)
    lines = [f"{found.rows:,} rows, {share} usable{f' ({faults})' if faults else ''}"]
    users, items = (("text", "integer")[is_integer] for is_integer in (found.integer_users, found.integer_items))
    lines.append(f"{found.users:,} users ({users} ids), {found.items:,} items ({items} ids)")
    repeats = 1 - found.pairs / found.usable
    if repeats > 0:
        rule = "the latest rating counts" if declaration.scale else "they add up"
        lines.append(f"{format_share(repeats)} of the rows repeat a user and an item: {rule}")
    lines.append(_ratings_line(proposal))
    if declaration.interactions.time is None:
        lines.append("no times: folds are cut by chance")
    elif found.first is not None and found.last is not None:
        written = _how_times_are_written(proposal, declaration.interactions.time)
        lines.append(
            f"times from {found.first:%Y-%m-%d} to {found.last:%Y-%m-%d}{written}"
            + (f", {found.rows - found.times:,} rows without" if found.rows > found.times else "")
        )
    else:
        lines.append(f"no time of {printable(declaration.interactions.time)} can be read; say --time-format FORMAT")
    if not declaration.pseudonymise and _content(proposal, declaration.interactions.user).emails > 0.5:
        lines.append("user ids are e-mail addresses: --pseudonymise keeps them out of every file")
    return lines


def _how_times_are_written(proposal: "Proposal", column: str) -> str:
    """Return the end of the sentence about times."""
    time_format = proposal.declaration.interactions.time_format
    if time_format is not None:
        return f", written {time_format.replace('-', ' ') if '%' not in time_format else f'as {time_format}'}"
    unit = _content(proposal, column).time_unit
    return f", in {unit} since 1970" if unit else ""


def _content(proposal: "Proposal", name: str) -> "Content":
    """Return what is in a column of the interactions."""
    return next(one for one in proposal.interactions.contents if one.column.name == name)


def _ratings_line(proposal: "Proposal") -> str:
    from recsys_dagster.ingest.declaration import Ratings

    found, declaration = proposal.survey, proposal.declaration
    if not isinstance(declaration.ratings, Ratings):
        weight = declaration.interactions.weight
        strength = f"strength by {printable(weight)}" if weight else "every row has the same strength"
        return f"no ratings: implicit feedback, {strength}"
    low, high = declaration.ratings.scale
    step = proposal.scale.step if proposal.scale is not None else None
    steps = f" in steps of {step:g}" if step else ""
    without = found.usable - found.rated
    unrated = ", ".join(f"{value:g}" for value in declaration.interactions.unrated)
    missing = f"; {without:,} rows without a rating" if without else ""
    return f"ratings from {low:g} to {high:g}{steps}, liked from {declaration.ratings.like_threshold:g} on{missing}" + (
        f" ({unrated} stands for none)" if unrated else ""
    )


def _item_counts(proposal: "Proposal") -> Sequence[str]:
    found = proposal.survey
    rows = found.item_rows or 0
    lines = [f"{found.listed:,} items, {rows - found.titled:,} of {rows:,} rows without a title"]
    lines.append(f"{format_share(found.matched / found.usable)} of the usable rows above have an item in it")
    return lines
