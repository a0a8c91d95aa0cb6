"""The five papers as published, beside the same systems under an honest protocol, and what each fault does."""

from recsys_dagster.papers.records import ConfusionRow, FaultRow, PaperRow, read_records, store_records

__all__ = ["ConfusionRow", "FaultRow", "PaperRow", "read_records", "store_records"]
