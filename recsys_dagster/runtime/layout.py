"""Every path under RECSYS_HOME."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders and files of one RECSYS_HOME."""

    home: Path

    def raw(self, dataset_id: str) -> Path:
        """Folder of a dataset's published files and their manifest."""
        return self.home / "raw" / dataset_id

    def warehouse(self, domain: str) -> Path:
        """The DuckDB file of a domain; one process at a time opens it."""
        return self.home / "warehouse" / f"{domain}.duckdb"

    def models(self, domain: str) -> Path:
        """Folder of a domain's model versions and its champion pointer."""
        return self.home / "models" / domain

    def evaluation(self, domain: str) -> Path:
        """Folder of a domain's per-user results."""
        return self.home / "evaluation" / domain

    def protocol(self, domain: str, protocol: str) -> Path:
        """Folder of what `recsys evaluate` found under a protocol, and of the split it made for it."""
        return self.evaluation(domain) / "protocols" / protocol

    def report(self, domain: str) -> Path:
        """The domain's HTML page."""
        return self.home / "reports" / domain / "index.html"

    def comparison(self) -> Path:
        """The HTML page that sets the domains side by side."""
        return self.home / "reports" / "index.html"

    def published(self, domain: str) -> Path:
        """The DuckDB file that readers open."""
        return self.home / "published" / f"{domain}.duckdb"

    def previous(self, domain: str) -> Path:
        """The published file before that one, kept to go back to."""
        return self.home / "published" / "previous" / f"{domain}.duckdb"

    def built(self, domain: str) -> Path:
        """The file that is to be published once it has passed its checks."""
        return self.home / "published" / "built" / f"{domain}.duckdb"
