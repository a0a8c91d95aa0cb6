"""From verified raw files to clean tables, features and arrays, in DuckDB. Public names only are imported elsewhere."""

from recsys_dagster.warehouse.arrays import (
    Holdout,
    id_map_hash,
    load_fold,
    load_holdout,
    load_ids,
    load_owned,
    load_training_data,
)
from recsys_dagster.warehouse.build import FileAccount, TableSummary, build_clean, build_features, reconcile
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.folds import FoldFiles, export_folds
from recsys_dagster.warehouse.lineage import column_lineage, upstream
from recsys_dagster.warehouse.split import load_split
from recsys_dagster.warehouse.tables import SqlTable, sql_tables

__all__ = [
    "FileAccount",
    "FoldFiles",
    "Holdout",
    "SqlTable",
    "TableSummary",
    "Warehouse",
    "build_clean",
    "build_features",
    "column_lineage",
    "export_folds",
    "id_map_hash",
    "load_fold",
    "load_holdout",
    "load_ids",
    "load_owned",
    "load_split",
    "load_training_data",
    "reconcile",
    "sql_tables",
    "upstream",
]
