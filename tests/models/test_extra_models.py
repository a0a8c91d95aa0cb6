"""A model from a package outside the project: registered, configurable, held to the contract, refused if incomplete."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from recsys_dagster.errors import UsageError
from recsys_dagster.models import registry
from recsys_dagster.models.base import Model
from recsys_dagster.models.registry import EXTRA_FAMILY, get_model_class, model_family, model_names

MODULE = '''
import numpy as np
from pydantic import Field

from recsys_dagster.models.base import Model
from recsys_dagster.models.params import Params


class RecentParams(Params):
    """Parameters of the model."""

    power: float = Field(0.5, ge=0, description="Power of the popularity.")


class Recent(Model):
    """Rank items by a power of their popularity."""

    name = "shop_recent"
    params_type = RecentParams
    params: RecentParams

    def _fit(self, data):
        self.scores_ = self.popularity_**self.params.power

    def _scores(self, users):
        return np.broadcast_to(self.scores_.astype(np.float32), (len(users), self.n_items_))


class Unfinished(Model):
    """Cannot fit."""

    name = "unfinished"

    def _scores(self, users):
        return np.zeros((len(users), self.n_items_), np.float32)


class Taken(Recent):
    """Has the name of another model."""

    name = "ease"


class Nameless(Recent):
    """Has a name that is no part of a path."""

    name = "../shop"


number = 7
'''

END_TO_END = """
import json
import dagster
from recsys_dagster.models.contract import check_contract
from recsys_dagster.models.registry import get_model_class, model_names
from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.settings import Settings

model_class = get_model_class("shop_recent")
check_contract(model_class)
definitions = build_definitions(Settings())
graph = definitions.resolve_asset_graph()
keys = sorted(key.to_user_string() for key in graph.get_all_asset_keys() if "shop_recent" in key.to_user_string())
fields = definitions.resolve_assets_def(["models", "shop_recent"]).op.config_schema.config_type.fields
parents = graph.get(dagster.AssetKey(["evaluation", "leaderboard"])).parent_keys
leaderboard = {key.to_user_string() for key in parents}
print(json.dumps({
    "module": model_class.__module__,
    "last": model_names()[-1],
    "keys": keys,
    "power": fields["power"].description,
    "on_leaderboard": "evaluation/shop_recent" in leaderboard,
}))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that holds a package with models."""
    folder = tmp_path / "my_shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_shop"]:
        monkeypatch.delitem(sys.modules, name)
    registry._load_extra_models.cache_clear()
    return tmp_path


def declare(monkeypatch: pytest.MonkeyPatch, *classes: str) -> None:
    monkeypatch.setenv("RECSYS_EXTRA_MODELS", ",".join(f"my_shop.models:{name}" for name in classes))


def test_a_named_model_joins_the_registry(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shop_recent" not in model_names()
    declare(monkeypatch, "Recent")
    assert model_names()[-1] == "shop_recent"
    model_class = get_model_class("shop_recent")
    assert issubclass(model_class, Model)
    assert model_class.summary == "Rank items by a power of their popularity."
    assert model_family("shop_recent") == EXTRA_FAMILY
    assert model_family("ease") == "linear"


def test_an_entry_point_declares_a_model_without_a_setting(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("recent", "my_shop.models:Recent", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    assert model_names()[-1] == "shop_recent"
    declare(monkeypatch, "Recent")
    assert model_names().count("shop_recent") == 1, "declared twice, listed once"


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            "my_shop.models",
            "RECSYS_EXTRA_MODELS: my_shop.models: write module:Class, such as my_package.module:MyModel",
        ),
        (
            "my_shop.absent:Recent",
            "No module named 'my_shop.absent'; install the package, or add its folder to PYTHONPATH",
        ),
        ("my_shop.models:Absent", "my_shop.models:Absent: my_shop.models has no Absent"),
        ("my_shop.models:number", "my_shop.models:number: not a subclass of recsys_dagster.models.base.Model"),
        ("my_shop.models:Unfinished", "my_shop.models:Unfinished: does not implement _fit"),
        ("my_shop.models:Taken", "there is another model named 'ease'; give this one another name"),
        ("my_shop.models:Nameless", "set `name` to lower-case letters, digits and underscores"),
    ],
)
def test_what_is_not_a_complete_model_is_refused_in_one_line(
    package: Path, monkeypatch: pytest.MonkeyPatch, declared: str, message: str
) -> None:
    monkeypatch.setenv("RECSYS_EXTRA_MODELS", declared)
    with pytest.raises(UsageError) as refused:
        model_names()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_has_an_asset_a_launchpad_form_an_evaluation_and_keeps_the_contract(package: Path) -> None:
    environment = {**os.environ, "RECSYS_EXTRA_MODELS": "my_shop.models:Recent", "RECSYS_HOME": str(package / "home")}
    environment["PYTHONPATH"] = os.pathsep.join([str(package), str(Path(registry.__file__).parents[2])])
    ran = subprocess.run(
        [sys.executable, "-c", END_TO_END], env=environment, cwd=package, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "module": "my_shop.models",
        "last": "shop_recent",
        "keys": ["evaluation/shop_recent", "models/shop_recent"],
        "power": "Power of the popularity. Unset: from the preset; default 0.5.",
        "on_leaderboard": True,
    }
