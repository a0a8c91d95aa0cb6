"""From a dataset's name to verified files on disk. Public names only are imported from elsewhere."""

from recsys_dagster.ingest.formats import FORMATS, Column, Format, SourceFile

__all__ = ["FORMATS", "Column", "Format", "SourceFile"]
