"""From verified raw files to clean tables, features and arrays, in DuckDB. Public names only are imported elsewhere."""
