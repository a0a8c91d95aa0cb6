"""Where fitted models lie, version by version, and which of them is current and which is the champion.

    models/<domain>/<model>/<version>/   state.npz, state.json, model.json
    models/<domain>/<model>/current.json pointer to the newest version
    models/<domain>/champion.json        pointer to what is served, and how it came to that

A version is written beside its place and renamed, and its pointer is replaced last, so a run that is killed anywhere
leaves the previous one current. Whoever writes holds the domain's lock.
"""

import os
import secrets
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.decisions import By, Decision, append_decision, read_decisions
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.storage import read_json, remove_leftovers, replacing, sha256, write_json
from recsys_dagster.runtime.versions import code_version, incompatibility, loaded_packages

RECORD = "model.json"
POINTER = "current.json"


@dataclass(frozen=True)
class ModelRecord:
    """What is known of one version of a model.

    Attributes:
        model, version: its name, and the time of saving in UTC with six random hex digits.
        params, seed: what it was made with.
        data_version: of the files it was trained on.
        id_map_hash: of the user and item ids behind its indices.
        metrics: its evaluation's headline figures by name; empty before it was evaluated.
        packages: versions of Python and of the libraries that were loaded.
        fit_seconds, peak_bytes: wall time of the fit, and the largest resident memory of the process during it.
        files: SHA-256 of each file of the version, by its path within.
        code_version: of this project; empty in records from before it was kept.
        params_from: where the parameters come from: a preset, or the search that found them; empty where nobody said.
    """

    model: str
    version: str
    params: dict[str, Any]
    seed: int
    data_version: str
    id_map_hash: str
    metrics: dict[str, float]
    packages: dict[str, str]
    fit_seconds: float
    peak_bytes: int
    files: dict[str, str]
    code_version: str = ""
    params_from: str = ""


class ModelStore:
    """The models under one RECSYS_HOME."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def save(
        self,
        domain: str,
        model: Model,
        *,
        data_version: str,
        id_map_hash: str,
        usage: ResourceUsage,
        current: bool = True,
        params_from: str = "",
    ) -> str:
        """Keep a fitted model as its name's current version, or beside it; return the version.

        Raises:
            RecsysError: the disk is full; the previous version stays current.
        """
        home = self._home(domain, model.name)
        remove_leftovers(home)
        version = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        with replacing(home / version) as folder:
            folder.mkdir()
            model.save(folder)
            record = ModelRecord(
                model=model.name,
                version=version,
                params=model.params.model_dump(mode="json"),
                seed=model.seed,
                data_version=data_version,
                id_map_hash=id_map_hash,
                metrics={},
                code_version=code_version(),
                params_from=params_from,
                packages=loaded_packages(),
                fit_seconds=usage.wall_seconds,
                peak_bytes=usage.peak_bytes,
                files={str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()},
            )
            write_json(folder / RECORD, asdict(record))
        if current:
            write_json(home / POINTER, {"version": version})
        return version

    def load(
        self, domain: str, name: str, version: str | None = None, *, id_map_hash: str
    ) -> tuple[Model, ModelRecord]:
        """Return a version of a model, the current one unless named, and its record.

        Raises:
            UsageError: there is no model of that name.
            RecsysError: it was never trained, a file of it is damaged or missing, a library that it needs is installed
                in an incompatible version, or it was trained on other ids than `id_map_hash` stands for, so that its
                indices mean other users and titles.
        """
        kind = get_model_class(name)
        record = self.record(domain, name, version)
        folder = self._home(domain, name) / record.version
        if record.id_map_hash != id_map_hash:
            raise RecsysError(
                f"{folder}: trained on other users and titles than the warehouse now has; train {name} again"
            )
        for package in _needed(kind) & record.packages.keys():
            if wrong := incompatibility(package, record.packages[package]):
                raise RecsysError(
                    f"{folder}: made with {wrong}; train {name} again, or install {package}=={record.packages[package]}"
                )
        for file, checksum in record.files.items():
            if not (folder / file).is_file() or sha256(folder / file) != checksum:
                raise RecsysError(f"{folder / file}: missing or damaged; train {name} again")
        return kind.load(folder), record

    def record(self, domain: str, name: str, version: str | None = None) -> ModelRecord:
        """Return what is known of a version, the current one unless named; raise RecsysError if there is none."""
        home = self._home(domain, name)
        version = version or read_json(home / POINTER, f"train {name} first")["version"]
        path = home / version / RECORD
        try:
            return ModelRecord(**read_json(path, f"train {name} again"))
        except TypeError:
            raise RecsysError(f"{path}: written by another version of this project; train {name} again") from None

    def record_metrics(self, domain: str, name: str, version: str, metrics: Mapping[str, float]) -> None:
        """Put the headline figures of an evaluation into the version's record, in place of earlier ones."""
        record = self.record(domain, name, version)
        write_json(self._home(domain, name) / version / RECORD, {**asdict(record), "metrics": dict(metrics)})

    def current_versions(self, domain: str) -> dict[str, str]:
        """Return the current version of each model that has one, by name."""
        pointers = sorted(self._layout.models(domain).glob(f"*/{POINTER}"))
        return {path.parent.name: read_json(path, f"train {path.parent.name} again")["version"] for path in pointers}

    def learning_curves(self, domain: str) -> dict[str, dict[str, list[float]]]:
        """Return the `history_` of the current version of each model that has one, by name."""
        curves = {}
        for name, version in self.current_versions(domain).items():
            path = self._home(domain, name) / version / "state.json"
            history = read_json(path, f"train {name} again")["state"]["history_"]
            if history:
                curves[name] = history
        return curves

    def set_champion(
        self,
        domain: str,
        name: str,
        version: str,
        *,
        reason: str,
        by: By,
        metrics: Mapping[str, float] | None = None,
        objections: Mapping[str, str] | None = None,
    ) -> Decision:
        """Point the domain's champion at a version, which must exist, and put that into the history.

        Args:
            domain, name, version: which.
            reason, by: what the history shall say.
            metrics: what is known of it; those of its record unless given.
            objections: why each other model was not taken, by name.
        """
        record = self.record(domain, name, version)
        known = dict(record.metrics if metrics is None else metrics)
        return append_decision(
            self._layout, domain, name, version, reason=reason, by=by, metrics=known, objections=objections
        )

    def champion(self, domain: str) -> tuple[str, str]:
        """Return the name and the version of the domain's champion; raise RecsysError if none was chosen yet."""
        decisions = self.history(domain)
        if not decisions:
            raise RecsysError(f"{domain} has no champion yet; choose the champion first")
        return decisions[-1].model, decisions[-1].version

    def history(self, domain: str) -> list[Decision]:
        """Return every decision on the domain's champion, the oldest first."""
        return read_decisions(self._layout, domain)

    def versions(self, domain: str, name: str) -> list[str]:
        """Return the versions of a model that are kept, the oldest first."""
        return sorted(path.parent.name for path in self._home(domain, name).glob(f"[!.]*/{RECORD}"))

    def prune(self, domain: str, keep: int, also: Collection[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Remove all but the newest versions of each model of a domain; return the (model, version)s that went.

        The current versions, the champion and its predecessor always stay.

        Args:
            domain: whose.
            keep: how many of each model stay.
            also: (model, version)s that must stay too, such as those that published lists name.
        """
        decisions = self.history(domain)
        kept = {*also, *self.current_versions(domain).items()}
        if decisions:
            champion = (decisions[-1].model, decisions[-1].version)
            before = [(row.model, row.version) for row in decisions if (row.model, row.version) != champion]
            kept |= {champion, *before[-1:]}
        gone = [
            (home.name, version)
            for home in sorted(self._layout.models(domain).glob("[!.]*/"))
            for version in self.versions(domain, home.name)[:-keep]
            if (home.name, version) not in kept
        ]
        for name, version in gone:
            # Out of sight first: whoever is killed while deleting leaves no half of a version.
            doomed = self._home(domain, name) / f".tmp-{version}"
            os.replace(self._home(domain, name) / version, doomed)
            shutil.rmtree(doomed)
        return gone

    def _home(self, domain: str, name: str) -> Path:
        return self._layout.models(domain) / name


def _needed(kind: type[Model]) -> set[str]:
    """Return the packages without which a model's files mean nothing: those of the arrays, and its own."""
    return {"numpy", "scipy", *("scikit-learn" if name == "scikitlearn" else name for name in kind.kinds)}
