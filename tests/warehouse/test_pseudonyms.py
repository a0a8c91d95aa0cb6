"""User names are replaced by numbers that depend on a secret."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.secret_key import read_or_create_key
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.database import Warehouse, pseudonym
from recsys_dagster.warehouse.domain_run import DomainRun

QUERY = "SELECT pseudonym('Ada'), pseudonym('ada'), pseudonym('Ada')"


def pseudonyms(warehouse: Warehouse) -> tuple[int, int, int]:
    with warehouse.connect() as connection:
        return connection.execute(QUERY).fetchall()[0]


def test_equal_names_have_equal_numbers_of_60_bits() -> None:
    first = pseudonym("Ada", b"key")
    assert first == pseudonym("Ada", b"key")
    assert first != pseudonym("ada", b"key")
    assert all(0 <= pseudonym(f"user {number}", b"key") < 2**60 for number in range(1000))


def test_without_the_key_the_number_of_a_name_cannot_be_computed() -> None:
    assert pseudonym("Ada", b"key") != pseudonym("Ada", b"another key")
    assert pseudonym("Ada", b"x" * 100) != pseudonym("Ada", b"x" * 101)


def test_the_random_key_is_kept_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    run = DomainRun(Settings(home=tmp_path / "one"), BUILT_IN_DOMAINS["anime"])
    numbers = pseudonyms(run.warehouse)
    path = Layout(tmp_path / "one").pseudonym_key()
    assert path.stat().st_mode & 0o777 == 0o600
    assert pseudonyms(DomainRun(run.settings, BUILT_IN_DOMAINS["anime"]).warehouse) == numbers
    assert pseudonyms(DomainRun(Settings(home=tmp_path / "two"), BUILT_IN_DOMAINS["anime"]).warehouse) != numbers
    path.chmod(0o644)
    assert pseudonyms(run.warehouse) == numbers
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_of_the_settings_gives_the_same_numbers_everywhere(tmp_path: Path) -> None:
    one, two = (
        DomainRun(Settings(home=tmp_path / name, pseudonym_key=SecretStr("k" * 16)), BUILT_IN_DOMAINS["anime"])
        for name in ("one", "two")
    )
    assert pseudonyms(one.warehouse) == pseudonyms(two.warehouse)
    assert not one.layout.pseudonym_key().exists()


def test_no_key_is_made_where_no_name_is_replaced(tmp_path: Path) -> None:
    run = DomainRun(Settings(home=tmp_path), BUILT_IN_DOMAINS["movie"])
    with run.warehouse.connect():
        pass
    assert not run.layout.pseudonym_key().exists()


@pytest.mark.parametrize("content", ["", "00", "not hexadecimal", "00" * 33])
def test_a_damaged_key_is_an_error_in_one_line(tmp_path: Path, content: str) -> None:
    run = DomainRun(Settings(home=tmp_path), BUILT_IN_DOMAINS["anime"])
    run.layout.pseudonym_key().write_text(content)
    with pytest.raises(RecsysError, match=r"pseudonym\.key: damaged; restore it from a backup") as raised:
        pseudonyms(run.warehouse)
    assert "\n" not in str(raised.value)


def test_a_link_in_place_of_the_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "home" / "pseudonym.key"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(RecsysError, match="not a file of this project"):
        read_or_create_key(path)
    assert not (tmp_path / "outside").exists()


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from recsys_dagster.runtime.secret_key import read_or_create_key\n"
        "print(read_or_create_key(pathlib.Path(sys.argv[1])).hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pseudonym.key")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in processes}) == 1


@pytest.mark.parametrize("name", ["anime.duckdb", ".anime-scratch"])
def test_a_link_in_place_of_the_warehouse_is_refused(tmp_path: Path, name: str) -> None:
    warehouse = Warehouse(tmp_path / "warehouse" / "anime.duckdb")
    (tmp_path / "outside").mkdir()
    warehouse.path.parent.mkdir()
    (warehouse.path.parent / name).symlink_to(tmp_path / "outside" / "file")
    with pytest.raises(RecsysError, match=rf"{name} is a link; remove it"), warehouse.connect():
        pass
    assert list((tmp_path / "outside").iterdir()) == []
