"""Where fitted models lie, version by version, and which of them is current and which is the champion.

    models/<domain>/<model>/<version>/   state.npz, state.json, model.json
    models/<domain>/<model>/current.json pointer to the newest version
    models/<domain>/champion.json        pointer to what is served

A version is written beside its place and renamed, and its pointer is replaced last, so a run that is killed anywhere
leaves the previous one current. Whoever writes holds the domain's lock.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from recsys_dagster.costs import Cost
from recsys_dagster.errors import RecsysError
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import model_class
from recsys_dagster.storage import Layout, remove_leftovers, replacing, sha256, write_json

RECORD = "model.json"
POINTER = "current.json"
CHAMPION = "champion.json"
LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "numba": "numba",
    "implicit": "implicit",
    "myfm": "myfm",
    "keras": "keras",
    "tensorflow": "tensorflow",
    "jax": "jax",
}
"""Module → package, of the libraries that can have a part in what a model learnt."""


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


class ModelStore:
    """The models under one RECSYS_HOME."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def save(self, domain: str, model: Model, *, data_version: str, id_map_hash: str, cost: Cost) -> str:
        """Keep a fitted model as its name's current version; return the version.

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
                packages=_loaded_packages(),
                fit_seconds=cost.wall_seconds,
                peak_bytes=cost.peak_bytes,
                files={str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()},
            )
            write_json(folder / RECORD, asdict(record))
        write_json(home / POINTER, {"version": version})
        return version

    def load(
        self, domain: str, name: str, version: str | None = None, *, id_map_hash: str
    ) -> tuple[Model, ModelRecord]:
        """Return a version of a model, the current one unless named, and its record.

        Raises:
            UsageError: there is no model of that name.
            RecsysError: it was never trained, a file of it is damaged or missing, or it was trained on other ids than
                `id_map_hash` stands for, so that its indices mean other users and titles.
        """
        kind = model_class(name)
        record = self.record(domain, name, version)
        folder = self._home(domain, name) / record.version
        if record.id_map_hash != id_map_hash:
            raise RecsysError(
                f"{folder}: trained on other users and titles than the warehouse now has; train {name} again"
            )
        for file, checksum in record.files.items():
            if not (folder / file).is_file() or sha256(folder / file) != checksum:
                raise RecsysError(f"{folder / file}: missing or damaged; train {name} again")
        return kind.load(folder), record

    def record(self, domain: str, name: str, version: str | None = None) -> ModelRecord:
        """Return what is known of a version, the current one unless named; raise RecsysError if there is none."""
        home = self._home(domain, name)
        version = version or self._read(home / POINTER, cure=f"train {name} first")["version"]
        path = home / version / RECORD
        try:
            return ModelRecord(**self._read(path, cure=f"train {name} again"))
        except TypeError:
            raise RecsysError(f"{path}: written by another version of this project; train {name} again") from None

    def record_metrics(self, domain: str, name: str, version: str, metrics: Mapping[str, float]) -> None:
        """Put the headline figures of an evaluation into the version's record, in place of earlier ones."""
        record = self.record(domain, name, version)
        write_json(self._home(domain, name) / version / RECORD, {**asdict(record), "metrics": dict(metrics)})

    def current_versions(self, domain: str) -> dict[str, str]:
        """Return the current version of each model that has one, by name."""
        pointers = sorted(self._layout.models(domain).glob(f"*/{POINTER}"))
        return {
            path.parent.name: self._read(path, cure=f"train {path.parent.name} again")["version"] for path in pointers
        }

    def learning_curves(self, domain: str) -> dict[str, dict[str, list[float]]]:
        """Return the `history_` of the current version of each model that has one, by name."""
        curves = {}
        for name, version in self.current_versions(domain).items():
            path = self._home(domain, name) / version / "state.json"
            history = self._read(path, cure=f"train {name} again")["state"]["history_"]
            if history:
                curves[name] = history
        return curves

    def set_champion(self, domain: str, name: str, version: str) -> None:
        """Point the domain's champion at a version, which must exist."""
        record = self.record(domain, name, version)
        remove_leftovers(self._layout.models(domain))
        write_json(self._layout.models(domain) / CHAMPION, {"model": record.model, "version": record.version})

    def champion(self, domain: str) -> tuple[str, str]:
        """Return the name and the version of the domain's champion; raise RecsysError if none was chosen yet."""
        pointer = self._read(self._layout.models(domain) / CHAMPION, cure="choose the champion first")
        return pointer["model"], pointer["version"]

    def _home(self, domain: str, name: str) -> Path:
        return self._layout.models(domain) / name

    @staticmethod
    def _read(path: Path, cure: str) -> dict[str, Any]:
        """Return the object in a JSON file; raise RecsysError, naming the cure, where it is missing or damaged."""
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecsysError(f"{path}: not there; {cure}") from None
        except ValueError:
            raise RecsysError(f"{path}: damaged; {cure}") from None
        return value


def _loaded_packages() -> dict[str, str]:
    loaded = {package: installed_version(package) for module, package in LIBRARIES.items() if module in sys.modules}
    return {"python": sys.version.split()[0], **loaded}
