"""From a dataset's name to verified files on disk. Public names only are imported from elsewhere."""

from recsys_dagster.ingest.archive import examine_file
from recsys_dagster.ingest.catalogue import CATALOGUE, Dataset, Download, Generated, Kaggle, get_dataset
from recsys_dagster.ingest.fetching import archive_identity, archive_in_mirror, fetch
from recsys_dagster.ingest.formats import FORMATS, Column, Format, SourceFile
from recsys_dagster.ingest.manifest import Manifest, ManifestFile, read_manifest
from recsys_dagster.ingest.sample import write_sample

__all__ = [
    "CATALOGUE",
    "FORMATS",
    "Column",
    "Dataset",
    "Download",
    "Format",
    "Generated",
    "Kaggle",
    "Manifest",
    "ManifestFile",
    "SourceFile",
    "archive_identity",
    "archive_in_mirror",
    "examine_file",
    "fetch",
    "get_dataset",
    "read_manifest",
    "write_sample",
]
