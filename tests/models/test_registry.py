import subprocess
import sys

import pytest

from recsys_dagster.errors import UsageError
from recsys_dagster.models.registry import get_model_class

HEAVY = {"keras", "tensorflow", "sklearn", "matplotlib", "pandas", "pyarrow", "implicit", "myfm"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_package_imports_no_library_that_trains() -> None:
    assert not HEAVY & modules_after("import recsys_dagster.models")


def test_every_model_can_be_described_without_the_library_that_trains_it() -> None:
    statement = "from recsys_dagster.models.registry import *; [get_model_class(name) for name in model_names()]"
    assert not HEAVY & modules_after(statement)


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown model 'wizardry'; known: popularity, recent_popularity, user_item"):
        get_model_class("wizardry")
