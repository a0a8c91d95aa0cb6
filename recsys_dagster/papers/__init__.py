"""The five papers as published, beside the same systems under an honest protocol, and what each fault does."""

from recsys_dagster.papers.faults import FAULTS, explained, show_faults
from recsys_dagster.papers.protocols import paper_protocol, paper_protocols
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperRow, read_records, store_records
from recsys_dagster.papers.running import lineage_folds, run_papers

__all__ = [
    "FAULTS",
    "FaultRow",
    "PaperConfusion",
    "PaperRow",
    "explained",
    "lineage_folds",
    "paper_protocol",
    "paper_protocols",
    "read_records",
    "run_papers",
    "show_faults",
    "store_records",
]
