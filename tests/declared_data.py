"""Declared datasets written out by hand, fetched and built into a warehouse."""

from pathlib import Path
from typing import Any

import yaml

from recsys_dagster.ingest.catalogue import get_dataset
from recsys_dagster.ingest.fetching import fetch
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.build import build_clean
from recsys_dagster.warehouse.database import Warehouse


def write(home: Path, files: dict[str, str | bytes]) -> None:
    """Write files into the folder of the declarations."""
    for name, content in files.items():
        path = home / "datasets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def declare(home: Path, content: dict[str, Any], name: str = "shop") -> None:
    """Write the declaration of a dataset of the domain `shop`."""
    path = home / "datasets" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"domain": "shop", **content}))


def settings_of(home: Path) -> Settings:
    return Settings(home=home)


def fetched(home: Path, name: str = "shop") -> Manifest:
    return fetch(get_dataset(name, settings_of(home)), settings_of(home))


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(Layout(home).warehouse("shop"))


def built(home: Path, name: str = "shop", **limits: float) -> Warehouse:
    """Fetch the dataset and build its clean tables."""
    manifest = fetched(home, name)
    warehouse = warehouse_of(home)
    build_clean(warehouse, get_dataset(name, settings_of(home)), manifest, **limits)
    return warehouse
