"""The explorations of the data as functions: from DataFrames to a DataFrame, and from that to a figure.

The asset `explore/profile`, the page and a notebook call the very same. A table of the warehouse and a DataFrame are
queried alike, so that 109 million interactions need not fit into memory where they lie in DuckDB.

    from recsys_dagster.reports.explorations import draw, explore

    genres = explore("genres", {"items": items})      # a DataFrame: genre, titles
    draw("genres", genres)                            # a matplotlib Figure
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from recsys_dagster.errors import UsageError
from recsys_dagster.reports.data_plots import PLOTS, Plot
from recsys_dagster.reports.data_profile import COLUMNS, read_exploration

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from matplotlib.figure import Figure

EXPLORATIONS: Mapping[str, Plot] = PLOTS
"""The caption and the plot of each exploration, by name."""


def explore(name: str, tables: "duckdb.DuckDBPyConnection | Mapping[str, pd.DataFrame]") -> "pd.DataFrame":
    """Return an exploration as a DataFrame.

    Args:
        name: such as `genres`.
        tables: a connection to a warehouse, or DataFrames with the columns of `clean.items`, `clean.ratings` and
            `clean.interactions` under the names `items`, `ratings` and `interactions`, as far as they are needed. An
            index that has a name counts as a column.

    Returns:
        A row for each bar, cell or word of the figure, in plotting order.

    Raises:
        UsageError: there is no such exploration; the message lists them.
    """
    import pandas as pd

    if name not in PLOTS:
        raise UsageError(f"unknown exploration {name!r}; known: {', '.join(PLOTS)}")
    if isinstance(tables, Mapping):
        with _connection_to(tables) as connection:
            rows = read_exploration(connection, name)
    else:
        rows = read_exploration(tables, name)
    return pd.DataFrame(rows, columns=list(COLUMNS[name]))


def draw(name: str, table: "pd.DataFrame") -> "Figure":
    """Draw an exploration.

    Args:
        name: such as `genres`.
        table: from `explore`, or of the same form; at least one row.
    """
    if name not in PLOTS:
        raise UsageError(f"unknown exploration {name!r}; known: {', '.join(PLOTS)}")
    return PLOTS[name].figure(list(table.itertuples(index=False, name=None)))


def _connection_to(frames: "Mapping[str, pd.DataFrame]") -> "duckdb.DuckDBPyConnection":
    """Return a connection whose schema `clean` holds the DataFrames."""
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA clean")
    for name, frame in frames.items():
        indexed = frame.reset_index() if any(frame.index.names) else frame
        connection.register("frame", pa.Table.from_pandas(indexed, preserve_index=False))
        connection.execute(f"CREATE TABLE clean.{name} AS SELECT * FROM frame")
        connection.unregister("frame")
    return connection
