"""Define every path under RECSYS_HOME."""

from dataclasses import dataclass
from pathlib import Path

MAX_KEPT_LISTS = 50
"""Largest number of earlier published files of a domain."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one RECSYS_HOME; no method creates, reads or checks anything.

    Attributes:
        home: the folder RECSYS_HOME.
    """

    home: Path

    def datasets(self) -> Path:
        """Folder of the datasets that users declare, one YAML file each."""
        return self.home / "datasets"

    def rules(self, domain: str) -> Path:
        """What must not be recommended in a domain, and how its lists are balanced; a user writes it."""
        return self.home / "rules" / f"{domain}.yaml"

    def declaration(self, dataset_id: str) -> Path:
        """Declaration of a dataset."""
        return self.datasets() / f"{dataset_id}.yaml"

    def raw(self, dataset_id: str) -> Path:
        """Folder of a dataset: its manifest, and a folder for each version of its files."""
        return self.home / "raw" / dataset_id

    def manifest(self, dataset_id: str) -> Path:
        """Record of where a dataset's files came from, with their checksums; names the current version."""
        return self.raw(dataset_id) / "manifest.json"

    def raw_version(self, dataset_id: str, data_version: str) -> Path:
        """Folder of one version of a dataset's files."""
        return self.raw(dataset_id) / data_version

    def raw_lock(self, dataset_id: str) -> Path:
        """File that is locked while a process fetches the dataset."""
        return self.raw(dataset_id) / ".lock"

    def partial_download(self, dataset_id: str) -> Path:
        """The part of a dataset's archive that has been downloaded so far."""
        return self.raw(dataset_id) / f"{dataset_id}.zip.part"

    def warehouse(self, domain: str) -> Path:
        """DuckDB file of a domain; only one process at a time can open it."""
        return self.home / "warehouse" / f"{domain}.duckdb"

    def lock(self, domain: str) -> Path:
        """File that is locked while a process changes the domain."""
        return self.home / "warehouse" / f"{domain}.lock"

    def domain_folders(self, domain: str) -> list[Path]:
        """All folders with files of a domain."""
        return [
            self.warehouse(domain).parent,
            self.models(domain),
            self.evaluation(domain),
            self.report(domain).parent,
            self.published(domain).parent,
        ]

    def pseudonym_key(self) -> Path:
        """Secret from which the pseudonyms of user names are derived, unless RECSYS_PSEUDONYM_KEY is set."""
        return self.home / "pseudonym.key"

    def models(self, domain: str) -> Path:
        """Folder of a domain's model versions and its champion pointer."""
        return self.home / "models" / domain

    def champion(self, domain: str) -> Path:
        """Pointer to a domain's champion, and the history of all decisions on it."""
        return self.models(domain) / "champion.json"

    def model(self, domain: str, model: str) -> Path:
        """Folder of one model: a folder for each version, and the files that concern all versions."""
        return self.models(domain) / model

    def current_version(self, domain: str, model: str) -> Path:
        """Pointer to the version of a model that was fitted last."""
        return self.model(domain, model) / "current.json"

    def outcome(self, domain: str, model: str) -> Path:
        """Outcome of a model in the last run that included it: fitted, failed or skipped."""
        return self.model(domain, model) / "outcome.json"

    def tuned(self, domain: str, model: str) -> Path:
        """Best parameters found by `recsys tune`."""
        return self.model(domain, model) / "tuned.json"

    def tuning_trials(self, domain: str, model: str) -> Path:
        """SQLite file of all trials of `recsys tune`."""
        return self.model(domain, model) / "tuning.db"

    def evaluation(self, domain: str) -> Path:
        """Folder of a domain's evaluation results."""
        return self.home / "evaluation" / domain

    def per_user(self, domain: str, fold: str, model: str) -> Path:
        """Per-user results of a model on a fold of the protocol `holdout`."""
        return self.evaluation(domain) / "holdout" / fold / f"{model}.parquet"

    def leaderboard(self, domain: str) -> Path:
        """Leaderboard of the protocol `holdout`."""
        return self.evaluation(domain) / "holdout" / "leaderboard.json"

    def example_lists(self, domain: str, model: str) -> Path:
        """Recommendations of a model for the example users of the report."""
        return self.evaluation(domain) / "examples" / f"{model}.parquet"

    def importance(self, domain: str, model: str) -> Path:
        """Importance of each input of a model."""
        return self.evaluation(domain) / "importance" / f"{model}.json"

    def tradeoff(self, domain: str, model: str) -> Path:
        """What diversity and calibration cost the lists of a model."""
        return self.evaluation(domain) / "tradeoff" / f"{model}.json"

    def protocol(self, domain: str, protocol: str) -> Path:
        """Folder of the split that `recsys evaluate` made under a protocol, with its results."""
        return self.evaluation(domain) / "protocols" / protocol

    def replication(self, dataset_id: str) -> Path:
        """Home of its own for a public dataset that `recsys evaluate` fetched to compare with published results."""
        return self.home / "replication" / dataset_id

    def reports(self) -> Path:
        """Folder of all HTML pages."""
        return self.home / "reports"

    def report(self, domain: str) -> Path:
        """HTML report of the domain."""
        return self.reports() / domain / "index.html"

    def backtest(self, domain: str) -> Path:
        """HTML report of the domain's last backtest."""
        return self.reports() / domain / "backtest.html"

    def comparison(self) -> Path:
        """HTML page that compares the domains."""
        return self.reports() / "index.html"

    def published(self, domain: str) -> Path:
        """DuckDB file that readers open."""
        return self.home / "published" / f"{domain}.duckdb"

    def previous(self, domain: str, step: int = 1) -> Path:
        """File that was published `step` publications before, kept for `recsys rollback`."""
        folder = self.home / "published" / "previous"
        return (folder if step == 1 else folder / str(step)) / f"{domain}.duckdb"

    def feedback(self, domain: str) -> Path:
        """Folder of what `recsys serve` was told about the use of a domain's lists."""
        return self.home / "feedback" / domain

    def pending_decision(self, domain: str) -> Path:
        """Decision on the champion whose lists are not published yet."""
        return self.models(domain) / "pending.json"

    def built(self, domain: str) -> Path:
        """File that is published once it has passed its checks."""
        return self.home / "published" / "built" / f"{domain}.duckdb"

    def waiting(self, domain: str) -> Path:
        """Checked lists that wait for `recsys approve`; nobody reads them."""
        return self.home / "published" / "waiting" / f"{domain}.duckdb"

    def review(self, domain: str) -> Path:
        """The decision that the waiting lists are of, and how they differ from the live ones."""
        return self.waiting(domain).with_suffix(".json")

    def rejections(self, domain: str) -> Path:
        """The decisions on the champion that a person rejected."""
        return self.models(domain) / "rejected.json"

    def spark(self) -> Path:
        """Folder of the files that go to Spark and come back while it works; the nodes of a cluster share it."""
        return self.home / "cache" / "spark"

    def compiled(self) -> Path:
        """Machine code that numba caches if it can write neither next to the code nor in the user's cache folder."""
        return self.home / "cache" / "numba"

    def dagster(self) -> Path:
        """Dagster's history, unless DAGSTER_HOME names another folder."""
        return self.home / "dagster"
