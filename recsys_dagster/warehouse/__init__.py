"""Tables in DuckDB: from verified raw files to clean tables and features, and from tables to arrays.

What belongs here: the database file of a domain, the reading of raw files, the SQL runner and its lineage, the schemas
of all tables, and loaders that turn tables or Parquet files into `recsys_dagster.data`. What does not: fetching files
(`ingest`), checking what is in the tables (`quality`), and models.
"""
