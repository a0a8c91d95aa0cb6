"""Store fitted models, version by version, and the pointers to the current version and to the champion.

    models/<domain>/<model>/<version>/   state.npz, state.json, model.json, and an .npy for each large array
    models/<domain>/<model>/current.json pointer to the version that was fitted last
    models/<domain>/champion.json        pointer to the champion, and the history of decisions

A version is written next to its place and renamed, and the pointer is replaced last. A run that is killed at any moment
leaves the previous version current. The caller of a method that writes holds the domain's lock.
"""

import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys_dagster.errors import RecsysError
from recsys_dagster.model_store.decisions import (
    By,
    Decision,
    make_decision,
    previous_champions,
    read_decisions,
    record_decision,
)
from recsys_dagster.models.base import LARGE_ARRAY, STATE_FILE, Model
from recsys_dagster.models.params import Params
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.files import refuse_links_outside
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.runtime.storage import read_json, remove_leftovers, replacing, sha256, write_json
from recsys_dagster.runtime.versions import code_version, incompatibility, loaded_packages

RECORD = "model.json"
"""Name of the file in a version's folder that holds its ModelRecord."""
FORMAT_VERSION = 3
"""Format of the files of a model, raised whenever older files can no longer be loaded.

Format 2 names attributes after items and writes the format into the record. A record without one is of format 1.
"""
VERSION = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
"""Pattern of a version: the time of saving in UTC, and six random hex digits."""


@dataclass(frozen=True)
class ModelRecord:
    """What is known about one version of a model.

    Attributes:
        model, version: the name of the model, and the version.
        params, seed: what it was fitted with.
        data_version: version of the raw files behind its training data.
        id_map_hash: hash of the user and item ids behind its indices.
        metrics: the main metrics of its evaluation by name; empty before it was evaluated.
        packages: versions of Python and of the libraries that were loaded.
        fit_seconds, peak_bytes: wall time of the fit, and the memory that it took beyond what was resident before.
        files: SHA-256 of each file of the version, by its path inside the version's folder.
        code_version: version of this project; empty if unknown.
        params_from: where the parameters come from, such as a preset or a search; empty if unknown.
        format_version: FORMAT_VERSION at the time of writing.
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
    format_version: int = 1


_RECORD = TypeAdapter(ModelRecord)


class ModelStore:
    """The models under one RECSYS_HOME.

    Attributes:
        layout: the paths under RECSYS_HOME.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

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
        """Store a fitted model and return its version.

        Args:
            domain: the domain.
            model: the fitted model.
            data_version, id_map_hash, params_from: for the record.
            usage: resource usage of the fit.
            current: whether it becomes the current version of its name.

        Raises:
            RecsysError: the disk is full; the previous version stays current.
        """
        home = self.layout.model(domain, model.name)
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
                peak_bytes=usage.added_bytes,
                files={str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()},
                format_version=FORMAT_VERSION,
            )
            write_json(folder / RECORD, asdict(record))
        if current:
            write_json(self.layout.current_version(domain, model.name), {"version": version})
        return version

    def load(
        self, domain: str, name: str, version: str | None = None, *, id_map_hash: str, for_one_user: bool = False
    ) -> tuple[Model, ModelRecord]:
        """Return a version of a model and its record.

        Large arrays are mapped. For one user's list a small part of them is read, and not their checksums, for which
        all of them would have to be; then a wrong size is found, and a changed number is not.

        Args:
            domain: the domain.
            name: name of the model.
            version: the version; None: the current one.
            id_map_hash: hash of the user and item ids of the warehouse, which must be those of the model.
            for_one_user: whether the model is loaded for a single list.

        Raises:
            UsageError: there is no model of that name.
            RecsysError: it was never fitted, was fitted on other users and items, was written in another format, needs
                another version of a library, or a file of it is damaged, missing or a link out of RECSYS_HOME. The
                message names the file and the cure.
        """
        model_class = get_model_class(name)
        record = self.record(domain, name, version)
        folder = self.layout.model(domain, name) / record.version
        if record.format_version != FORMAT_VERSION:
            raise RecsysError(
                f"{folder}: written in format {record.format_version}, and this version of the project loads format "
                f"{FORMAT_VERSION}; train {name} again"
            )
        if record.id_map_hash != id_map_hash:
            raise RecsysError(
                f"{folder}: fitted on other users and items than the warehouse now has; train {name} again"
            )
        for package in _needed_packages(model_class) & record.packages.keys():
            if wrong := incompatibility(package, record.packages[package]):
                raise RecsysError(
                    f"{folder}: made with {wrong}; train {name} again, or install {package}=={record.packages[package]}"
                )
        refuse_links_outside(self.layout, [folder])
        for file, checksum in record.files.items():
            path = folder / file
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise RecsysError(f"{folder / RECORD}: damaged (it names the file {file}); train {name} again")
            is_checked = not (for_one_user and path.suffix == LARGE_ARRAY)
            if not path.is_file() or (is_checked and sha256(path) != checksum):
                raise RecsysError(f"{path}: missing or damaged; train {name} again")
        if STATE_FILE not in record.files:
            raise RecsysError(f"{folder / RECORD}: damaged (it does not name {STATE_FILE}); train {name} again")
        try:
            return model_class.load(folder), record
        except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise RecsysError(f"{folder}: cannot be loaded ({reason}); train {name} again") from error

    def record(self, domain: str, name: str, version: str | None = None) -> ModelRecord:
        """Return what is known about a version, by default the current one.

        Raises:
            RecsysError: there is no such version, its record is damaged, or it was written in a newer format.
        """
        version = version or self._current_version(domain, name)
        path = self.layout.model(domain, name) / version / RECORD
        cure = f"train {name} again"
        refuse_links_outside(self.layout, [path])
        fields = read_json(path, cure)
        written = fields.get("format_version", 1)
        if isinstance(written, int) and written > FORMAT_VERSION:
            raise RecsysError(
                f"{path}: written in format {written} by {fields.get('code_version') or 'a newer version'} of the "
                f"project, and this version reads formats up to {FORMAT_VERSION}; {cure}, or install that version"
            )
        try:
            record = _RECORD.validate_python(fields)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"])) or "all of it"
            raise RecsysError(f"{path}: damaged ({place}: {fault['msg']}); {cure}") from None
        if (record.model, record.version) != (name, version):
            raise RecsysError(f"{path}: the record of {record.model} {record.version}, not of {name} {version}; {cure}")
        return record

    def record_metrics(self, domain: str, name: str, version: str, metrics: Mapping[str, float]) -> None:
        """Store the main metrics of an evaluation in the version's record, replacing earlier ones."""
        record = self.record(domain, name, version)
        path = self.layout.model(domain, name) / version / RECORD
        write_json(path, {**asdict(record), "metrics": dict(metrics)})

    def current_versions(self, domain: str) -> dict[str, str]:
        """Return the current version of each model that has one, by name."""
        pointer = self.layout.current_version(domain, "*").name
        names = sorted(path.parent.name for path in self.layout.models(domain).glob(f"*/{pointer}"))
        return {name: self._current_version(domain, name) for name in names}

    def learning_curves(self, domain: str) -> dict[str, dict[str, list[float]]]:
        """Return the `history_` of the current version of each model that has one, by name."""
        curves = {}
        for name, version in self.current_versions(domain).items():
            path = self.layout.model(domain, name) / version / STATE_FILE
            try:
                history = read_json(path, f"train {name} again")["state"]["history_"]
            except (LookupError, TypeError):
                raise RecsysError(f"{path}: damaged; train {name} again") from None
            if history:
                curves[name] = history
        return curves

    def set_champion(self, domain: str, decision: Decision) -> None:
        """Make the version of a decision the domain's champion, and add the decision to the history."""
        record_decision(self.layout, domain, decision)

    def decide(
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
        """Return the decision that makes an existing version the domain's champion, without recording it.

        Args:
            domain, name, version: the version.
            reason, by: for the history.
            metrics: the champion's main metrics; None: those of its record.
            objections: why each other model was not chosen, by name.

        Raises:
            RecsysError: there is no such version.
        """
        record = self.record(domain, name, version)
        known = record.metrics if metrics is None else metrics
        return make_decision(
            self.layout, domain, name, version, reason=reason, by=by, metrics=known, objections=objections
        )

    def champion(self, domain: str) -> tuple[str, str]:
        """Return the name and version of the domain's champion; raise RecsysError if there is none yet."""
        decisions = self.history(domain)
        if not decisions:
            raise RecsysError(f"{domain} has no champion yet; choose the champion first")
        return decisions[-1].model, decisions[-1].version

    def history(self, domain: str) -> list[Decision]:
        """Return all decisions on the domain's champion, the oldest first."""
        return read_decisions(self.layout, domain)

    def versions(self, domain: str, name: str) -> list[str]:
        """Return the stored versions of a model, the oldest first."""
        records = self.layout.model(domain, name).glob(f"*/{RECORD}")
        return sorted(path.parent.name for path in records if VERSION.fullmatch(path.parent.name))

    def prune(self, domain: str, keep: int, also: Collection[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Remove old versions of each model of a domain; return the removed (model, version)s.

        The current versions, the champion and the `keep` champions before it always stay.

        Args:
            domain: the domain.
            keep: number of newest versions of each model that stay.
            also: (model, version)s that stay as well, such as those that published lists name.
        """
        decisions = self.history(domain)
        kept = {*also, *self.current_versions(domain).items(), *previous_champions(decisions)[:keep]}
        if decisions:
            kept.add((decisions[-1].model, decisions[-1].version))
        removed = [
            (home.name, version)
            for home in sorted(self.layout.models(domain).glob("[!.]*/"))
            for version in self.versions(domain, home.name)[:-keep]
            if (home.name, version) not in kept
        ]
        for name, version in removed:
            # Renamed first, so that a process that is killed while deleting leaves no part of a version.
            home = self.layout.model(domain, name)
            doomed = home / f".tmp-{version}"
            os.replace(home / version, doomed)
            if doomed.is_symlink():
                doomed.unlink()
            else:
                shutil.rmtree(doomed)
        return removed

    def _current_version(self, domain: str, name: str) -> str:
        path = self.layout.current_version(domain, name)
        version = read_json(path, f"train {name} first").get("version")
        if not isinstance(version, str) or not VERSION.fullmatch(version):
            raise RecsysError(f"{path}: damaged; train {name} again")
        return version


def params_of(record: ModelRecord) -> Params:
    """Return the parameters of a stored version; raise RecsysError if its model does not have them any more."""
    try:
        return get_model_class(record.model).params_type(**record.params)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise RecsysError(
            f"{record.model} {record.version}: not the parameters of today's {record.model} ({place}: {fault['msg']}); "
            f"train {record.model} again"
        ) from None


def _needed_packages(model_class: type[Model]) -> set[str]:
    """Return the packages on which the meaning of a model's files depends: those of arrays, and the model's own."""
    return {"numpy", "scipy", *("scikit-learn" if name == "scikitlearn" else name for name in model_class.kinds)}
