"""The sensor notices files that are added to a declared folder, once they are complete."""

import os
import time
from pathlib import Path
from typing import Any

import dagster as dg
from declared_data import declare, fetched, write
from watching import look, settings

DAY = "u,i\n1,2\n"


def add(home: Path, name: str, *, age: float = 3600) -> None:
    write(home, {f"orders/{name}": DAY})
    os.utime(home / "datasets/orders" / name, (time.time() - age, time.time() - age))


def of_shop(found: Any) -> list[str | None]:
    return [request.run_key for request in found.run_requests if request.partition_key == "shop"]


def test_files_that_are_added_to_a_folder_start_one_run_once_they_are_complete(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    chosen = settings(tmp_path / "home")
    add(chosen.home, "01.csv")
    declare(chosen.home, {"ratings": "implicit", "interactions": {"files": "orders", "user": "u", "item": "i"}})
    found = look(chosen, instance)
    assert len(of_shop(found)) == 1
    assert of_shop(look(chosen, instance, found.cursor)) == []
    fetched(chosen.home)
    add(chosen.home, "02.csv", age=1)
    (chosen.home / "datasets/orders/02.csv").touch()
    assert of_shop(look(chosen, instance, found.cursor)) == []
    add(chosen.home, "02.csv")
    found = look(chosen, instance, found.cursor)
    assert len(of_shop(found)) == 1
    assert of_shop(look(chosen, instance, found.cursor)) == []


def test_a_declared_file_that_is_not_there_is_the_reason_of_the_sensor(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    chosen = settings(tmp_path / "home")
    declare(chosen.home, {"ratings": "implicit", "interactions": {"files": "orders", "user": "u", "item": "i"}})
    found = look(chosen, instance)
    assert of_shop(found) == []
    assert "orders: no such file" in (found.skip_message or "")
