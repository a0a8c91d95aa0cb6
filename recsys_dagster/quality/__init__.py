"""What must hold before anything is published: checks of the data, of the folds and of the finished lists.

Each check is a function of the workspace and a domain that returns what was expected beside what was found. Its
docstring says what it means and, after "Cure:", what to do when it fails: the UI and the page for the person on call
show the same words.
"""

from recsys_dagster.quality.checks import Check, all_checks
from recsys_dagster.quality.findings import Finding
from recsys_dagster.quality.lists import faults_of_lists, overlap_with_published
from recsys_dagster.quality.reference import reference_tables

__all__ = [
    "Check",
    "Finding",
    "all_checks",
    "faults_of_lists",
    "overlap_with_published",
    "reference_tables",
]
