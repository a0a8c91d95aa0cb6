"""Translate SQL from DuckDB's dialect to Spark's, so that both give the same rows."""

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from recsys_dagster.warehouse.database import KNOWN_TEXT_BLANKS, UNKNOWN
from recsys_dagster.warehouse.sql_files import SqlTable

_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What DuckDB's `trim` takes away; Spark's takes only the first of them."""

_SMALL = {exp.DataType.Type.SMALLINT, exp.DataType.Type.INT}

_SUMMARISES = (exp.AggFunc, exp.Window, exp.Distinct)


def to_spark(sql: str) -> str:
    """Return a SELECT in Spark's dialect.

    Spark has temporary views in no schema: `clean.items` becomes `clean__items`.
    """
    query = sqlglot.parse_one(sql, read="duckdb")
    for table in list(query.find_all(exp.Table)):
        if table.db:
            table.replace(exp.to_table(view_name(table.db, table.name), alias=table.alias_or_name))
    return query.transform(_as_duckdb).sql(dialect="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)


def steps(table: SqlTable) -> Iterator[tuple[str, str]]:
    """Divide the SELECT of a table into steps, of which the last is the whole.

    Spark computes a common table expression anew wherever it is read. One that summarises rows and is read more than
    once becomes a step of its own, `staging.<name>_<expression>`, which those after it read.

    Yields:
        (name of the step's table without schema, SELECT in DuckDB's dialect).
    """
    query = table.query.copy()
    inline: dict[str, exp.CTE] = {}
    summarising: set[str] = set()
    for cte in list(query.ctes):
        reads = {read.name for read in cte.find_all(exp.Table) if not read.db}
        if cte.find(*_SUMMARISES) or reads & summarising:
            summarising.add(cte.alias)
        uses = [use for use in query.find_all(exp.Table) if not use.db and use.name == cte.alias]
        if cte.alias not in summarising or len(uses) < 2:
            inline[cte.alias] = cte
            continue
        step = cte.this.copy()
        for before, earlier in inline.items():
            step = step.with_(before, as_=earlier.this.copy(), copy=False)
        name = f"{table.name}_{cte.alias}"
        yield name, step.sql(dialect="duckdb")
        for use in uses:
            use.replace(exp.to_table(f"staging.{name}", alias=use.alias_or_name))
        summarising.remove(cte.alias)
        cte.pop()
    if query.args.get("with_") and not query.ctes:
        query.set("with_", None)
    yield table.name, query.sql(dialect="duckdb")


def view_name(schema: str, name: str) -> str:
    """Return the name of the temporary view of a table."""
    return f"{schema}__{name}"


def to_spark_type(kind: str) -> str:
    """Return the name of a type of DuckDB in Spark."""
    return exp.DataType.build(kind, dialect="duckdb").sql(dialect="spark")


def known_text_sql(text: str) -> str:
    """Return the SQL of `known_text` in Spark's dialect; see `recsys_dagster.warehouse.database`."""
    blank = "[\\\\t\\\\n\\\\f\\\\r ]"
    words = "|".join(re.escape(word) for word in UNKNOWN).replace("\\", "\\\\")
    blanks = "".join(f"\\u{ord(char):04x}" for char in KNOWN_TEXT_BLANKS)
    return (
        f"CASE WHEN {text} RLIKE '\\\\A(?iu){blank}*({words}){blank}*\\\\z' THEN NULL"
        f" ELSE trim(BOTH '{blanks}' FROM {text}) END"
    )


def _as_duckdb(node: exp.Expression) -> exp.Expression:
    """Return what means in Spark what the expression means in DuckDB, where the translation alone does not."""
    if isinstance(node, exp.Trim) and node.expression is None:
        node.set("expression", exp.Literal.string(_BLANKS))
    elif isinstance(node, exp.TryCast) and node.to.this in _SMALL:
        # DuckDB reads 12.0 as a whole number, and rounds.
        number = exp.TryCast(this=node.this, to=exp.DataType.build("DOUBLE"), safe=True)
        return exp.TryCast(this=exp.Round(this=number), to=node.to, safe=True)
    return node
