"""Every path under RECSYS_HOME."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders and files of one RECSYS_HOME. Nothing is made or read here."""

    home: Path

    def raw(self, dataset_id: str) -> Path:
        """Folder of a dataset's published files and their manifest."""
        return self.home / "raw" / dataset_id

    def manifest(self, dataset_id: str) -> Path:
        """Where a dataset's files came from, and their checksums."""
        return self.raw(dataset_id) / "manifest.json"

    def warehouse(self, domain: str) -> Path:
        """The DuckDB file of a domain; one process at a time opens it."""
        return self.home / "warehouse" / f"{domain}.duckdb"

    def lock(self, domain: str) -> Path:
        """The file that is locked while a process works on the domain."""
        return self.home / "warehouse" / f"{domain}.lock"

    def models(self, domain: str) -> Path:
        """Folder of a domain's model versions and its champion pointer."""
        return self.home / "models" / domain

    def champion(self, domain: str) -> Path:
        """Pointer to a domain's champion, and the history of all decisions on it."""
        return self.models(domain) / "champion.json"

    def model(self, domain: str, model: str) -> Path:
        """Folder of one model: a folder for each version, and the files about all of them."""
        return self.models(domain) / model

    def current_version(self, domain: str, model: str) -> Path:
        """Pointer to the version of a model that was fitted last."""
        return self.model(domain, model) / "current.json"

    def outcome(self, domain: str, model: str) -> Path:
        """What came of a model in the last run that was to fit it."""
        return self.model(domain, model) / "outcome.json"

    def tuned(self, domain: str, model: str) -> Path:
        """The best parameters that `recsys tune` found."""
        return self.model(domain, model) / "tuned.json"

    def tuning_trials(self, domain: str, model: str) -> Path:
        """The SQLite file of all trials of `recsys tune`."""
        return self.model(domain, model) / "tuning.db"

    def evaluation(self, domain: str) -> Path:
        """Folder of a domain's evaluation results."""
        return self.home / "evaluation" / domain

    def per_user(self, domain: str, fold: str, model: str) -> Path:
        """Per-user results of a model on a fold of the protocol `holdout`."""
        return self.evaluation(domain) / "holdout" / fold / f"{model}.parquet"

    def leaderboard(self, domain: str) -> Path:
        """The leaderboard of the protocol `holdout`."""
        return self.evaluation(domain) / "holdout" / "leaderboard.json"

    def example_lists(self, domain: str, model: str) -> Path:
        """The lists that a model makes for the example users of the page."""
        return self.evaluation(domain) / "examples" / f"{model}.parquet"

    def importance(self, domain: str, model: str) -> Path:
        """How much each input of a model matters."""
        return self.evaluation(domain) / "importance" / f"{model}.json"

    def protocol(self, domain: str, protocol: str) -> Path:
        """Folder of a split that `recsys evaluate` made under a protocol, and of the results on it."""
        return self.evaluation(domain) / "protocols" / protocol

    def report(self, domain: str) -> Path:
        """The domain's HTML page."""
        return self.home / "reports" / domain / "index.html"

    def backtest(self, domain: str) -> Path:
        """The HTML page of the domain's last backtest."""
        return self.home / "reports" / domain / "backtest.html"

    def comparison(self) -> Path:
        """The HTML page that compares the domains."""
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

    def dagster(self) -> Path:
        """Dagster's history, unless DAGSTER_HOME names another folder."""
        return self.home / "dagster"
