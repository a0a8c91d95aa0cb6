"""The tables of every protocol, made by either engine."""

from typing import Any

from recsys_dagster.warehouse.engine import Engine
from recsys_dagster.warehouse.sql_files import SqlTable, sql_tables


def protocol_methods() -> list[SqlTable]:
    return [table for table in sql_tables("protocol") if table.name != "interactions"]


def make_protocols(engine: Engine, parameters: dict[str, Any]) -> None:
    """Make `protocol.interactions`, and a table of folds for each protocol, of the clean tables and the features."""
    types = {name: "BIGINT" if name == "seed" else "DOUBLE" for name in parameters}
    engine.create_table("protocol.parameters", types, [tuple(parameters.values())])
    engine.create_view("protocol.items", "SELECT * FROM clean.items")
    (interactions,) = (table for table in sql_tables("protocol") if table.name == "interactions")
    engine.materialise(interactions)
    engine.create_view("protocol.pairs", "SELECT * FROM protocol.interactions")
    methods = {table.name: table for table in protocol_methods()}
    engine.materialise(methods.pop("global_time"))
    engine.create_view("protocol.cut", "SELECT * FROM protocol.global_time")
    for table in methods.values():
        engine.materialise(table)
