"""Settings come from the environment and from `.env`, and are validated before anything else."""

import os
import traceback
from pathlib import Path

import duckdb
import pytest

from recsys_dagster import settings as settings_module
from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.ingest.domain_lookup import get_domain
from recsys_dagster.models.budget import Budget
from recsys_dagster.models.registry import model_names
from recsys_dagster.models.selection import budget_of, selected_models
from recsys_dagster.settings import Settings, default_home, read_settings, read_settings_before_import
from recsys_dagster.warehouse.domain_run import DomainRun


def settings(tmp_path: Path, **chosen: object) -> Settings:
    return Settings(home=tmp_path, _env_file=None, **{"models": "", **chosen})


def test_names_of_models_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_MODELS", "ease, als,")
    assert Settings(_env_file=None).models == ("ease", "als")


def test_a_run_fits_all_models_within_the_budget_and_every_named_one(tmp_path: Path) -> None:
    usual = settings(tmp_path, budget_seconds=60, budget_memory="2GiB")
    assert selected_models(usual) == model_names()
    assert budget_of(usual, "ease") == Budget(60, 2 * 2**30)
    assert budget_of(usual, "popularity") is None, "without the baselines no figure means anything"
    for chosen in ("all", "ease"):
        named = settings(tmp_path, models=chosen, budget_seconds=60)
        assert budget_of(named, "ease") is None
    assert selected_models(settings(tmp_path, models="all")) == model_names()


def test_the_baselines_are_always_fitted(tmp_path: Path) -> None:
    baselines = ("popularity", "recent_popularity", "user_item_bias")
    assert selected_models(settings(tmp_path, models="ease")) == (*baselines, "ease")


def test_an_unknown_model_domain_or_dataset_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'oracle'; known: popularity, "):
        selected_models(settings(tmp_path, models="oracle"))
    with pytest.raises(UsageError, match=r"unknown domain 'books' \(did you mean book\?\); known: anime, movie"):
        get_domain("books", settings(tmp_path))
    with pytest.raises(UsageError, match=r"unknown dataset .ml-1b.; such as ml-1m, .*`recsys datasets` lists all"):
        _ = DomainRun(settings(tmp_path, datasets={"movie": "ml-1b"}), BUILT_IN_DOMAINS["movie"]).dataset


def test_a_dataset_of_another_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RECSYS_DATASET_MOVIE=myanimelist is a dataset of the domain 'anime'"):
        _ = DomainRun(settings(tmp_path, datasets={"movie": "myanimelist"}), BUILT_IN_DOMAINS["movie"]).dataset


def test_a_dataset_that_was_not_fetched_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match="sample-movie: not fetched yet"):
        _ = DomainRun(settings(tmp_path), BUILT_IN_DOMAINS["movie"]).manifest


# -- reading and validating


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The current folder; no RECSYS_ variable is set, and no other `.env` is read."""
    for name in [name for name in os.environ if name.startswith("RECSYS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(settings_module, "PROJECT", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("RECSYS_MODEL", "RECSYS_MODELS"),
        ("RECSYS_MOVIE_DATSET", "RECSYS_DATASET_MOVIE"),
        ("RECSYS_DATSET_MOVIE", "RECSYS_DATASET_MOVIE"),
        ("recsys_datset_movie", "RECSYS_DATASET_MOVIE"),
        ("RECSYS_SEEDS", "RECSYS_SEED"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "S3CRET")
    message = rf"^{name} is not a setting \(did you mean {nearest}\?\); correct or remove it in the environment$"
    with pytest.raises(RecsysError, match=message):
        read_settings()
    monkeypatch.delenv(name)
    (folder / ".env").write_text(f"{name}=S3CRET\n")
    with pytest.raises(RecsysError, match=rf"{name} is not a setting .*{nearest}.* in {folder}/\.env$"):
        read_settings()


def test_a_variable_like_no_setting_and_an_empty_unknown_one_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_XYZZY", "")
    with pytest.raises(RecsysError, match=r"^RECSYS_XYZZY is not a setting; correct or remove it in the environment$"):
        read_settings()


def test_tables_on_an_object_store_are_refused_with_what_is_supported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supported = r"not supported: tables are always made as Parquet and DuckDB files under RECSYS_HOME, a folder"
    (folder / ".env").write_text("RECSYS_HOME=s3a://bucket/tables\n")
    with pytest.raises(RecsysError, match=rf"^RECSYS_HOME=s3a:/+bucket/tables: an object store is {supported}"):
        read_settings()
    monkeypatch.setenv("RECSYS_WAREHOUSE", "s3a://bucket/tables")
    with pytest.raises(RecsysError, match=rf"^RECSYS_WAREHOUSE is {supported}"):
        read_settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'A=1\nRECSYS_HOME="data\nRECSYS_SEED=3\n', r"\.env, line 2: not of the form NAME=value; is a quote missing"),
        (b'A=1\nRECSYS_HOME="data\nRECSYS_MODELS="ease"\n', r"\.env, line 2: .* is a quote missing"),
        (b"RECSYS_HOME='data\n", r"\.env, line 1: .* is a quote missing"),
        (b"A=1\n\nRECSYS_HOME=caf\xe9\n", r"\.env, line 3: expected UTF-8"),
        ("RECSYS_HOME=data\n".encode("utf-16"), r"\.env, line 1: expected UTF-8"),
        (b"RECSYS_HOME\n", r"\.env, line 1: RECSYS_HOME has no value"),
    ],
)
def test_a_damaged_env_file_is_refused_with_its_line(folder: Path, content: bytes, message: str) -> None:
    (folder / ".env").write_bytes(content)
    with pytest.raises(RecsysError, match=message) as raised:
        read_settings()
    assert "\n" not in str(raised.value)


def test_the_environment_precedes_the_env_file_and_options_precede_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_bytes(b"\xef\xbb\xbfRECSYS_SEED=1\r\nexport RECSYS_TOP_N='7'\r\nRECSYS_MODELS=ease,als\r\n")
    assert (read_settings().seed, read_settings().top_n, read_settings().models) == (1, 7, ("ease", "als"))
    monkeypatch.setenv("RECSYS_SEED", "2")
    monkeypatch.setenv("RECSYS_TOP_N", "")
    assert (read_settings().seed, read_settings().top_n, read_settings(seed=3).seed) == (2, 7, 3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RETRAIN_CRON", "61 4 * * 1", r"RECSYS_RETRAIN_CRON=61 4 \* \* 1: '61' is not a valid minute"),
        ("RETRAIN_CRON", "0 4 31 2 *", "day 31 does not occur in month 2"),
        ("TIMEZONE", "Mars/Olympus", "RECSYS_TIMEZONE=Mars/Olympus: there is no such time zone"),
        ("TIMEZONE", "../../etc/passwd", "there is no such time zone"),
        ("MEMORY_LIMIT", "lots", "RECSYS_MEMORY_LIMIT=lots: it has to be a size such as 4GB, 512MiB or 50%"),
        ("MEMORY_LIMIT", "-1", "has to be a size"),
        ("MEMORY_LIMIT", "0GB", "has to be a size"),
        ("BUDGET_MEMORY", "lots", "RECSYS_BUDGET_MEMORY=lots"),
        ("SEED", "-1", "RECSYS_SEED=-1: .* greater than or equal to 0"),
        ("SEED", "99999999999", "less than or equal to 4294967295"),
        ("MODEL_SECONDS", "inf", "RECSYS_MODEL_SECONDS=inf"),
        ("BUDGET_SECONDS", "nan", "RECSYS_BUDGET_SECONDS=nan"),
        ("STALE_DAYS", "inf", "RECSYS_STALE_DAYS=inf"),
        ("VOLUME_GROWTH", "inf", "RECSYS_VOLUME_GROWTH=inf"),
        ("SCHEDULES", "maybe", "RECSYS_SCHEDULES=maybe"),
        ("HOME", "~nobody-of-this-name/data", "RECSYS_HOME=~nobody-of-this-name/data: there is no such user"),
    ],
)
def test_invalid_values_are_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"RECSYS_{name}", value)
    with pytest.raises(RecsysError, match=message) as raised:
        read_settings()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["4GB", "4 GB", "512MiB", "0.5gb", "50%", "4G", "2t"])
def test_sizes_that_duckdb_reads_are_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RECSYS_MEMORY_LIMIT", value)
    limit = read_settings().memory_limit
    assert limit is not None
    duckdb.connect(config={"memory_limit": limit}).close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK", "hooks.example/S3CRET"),
        ("WEBHOOK", "https:///S3CRET"),
        ("WEBHOOK", "https://host:S3CRET/"),
        ("MIRROR", "https://user:S3/CRET@host/S3CRET"),
        ("PSEUDONYM_KEY", "S3CRET"),
    ],
)
def test_the_value_of_a_secret_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RECSYS_{name}", value)
    with pytest.raises(RecsysError, match=f"RECSYS_{name}: ") as raised:
        read_settings()
    assert "CRET" not in "".join(traceback.format_exception(raised.value))


def test_secrets_do_not_appear_where_settings_are_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_MIRROR", "https://user:S3CRET@host/")
    monkeypatch.setenv("RECSYS_PSEUDONYM_KEY", "S3CRET" * 3)
    settings = read_settings()
    assert "S3CRET" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_paths_of_an_env_file_are_relative_to_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = folder / "project", folder / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr(settings_module, "PROJECT", project)
    monkeypatch.chdir(elsewhere)
    assert default_home() == read_settings().home == project / "data"
    (project / ".env").write_text("RECSYS_HOME=big\nRECSYS_MIRROR=archives\n")
    settings = read_settings()
    assert settings.home == project / "big"
    assert settings.mirror is not None
    assert settings.mirror.get_secret_value() == str(project / "archives")
    (project / ".env").write_text("RECSYS_HOME=~/big\nRECSYS_MIRROR=https://host/a\n")
    assert read_settings().home == Path("~/big").expanduser()
    monkeypatch.setenv("RECSYS_HOME", "here")
    assert read_settings().home == elsewhere / "here"
    (elsewhere / ".env").write_text("RECSYS_SEED=5\n")
    monkeypatch.delenv("RECSYS_HOME")
    assert (read_settings().home, read_settings().seed) == (project / "data", 5), "only one file is read"


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_a_value_with_a_line_break_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_MIRROR_FALLBACK", "maybe\n\x1b[31m" + "x" * 1000)
    with pytest.raises(RecsysError) as error:
        read_settings()
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


# -- the datasets of the domains


@pytest.mark.parametrize("name", ["RECSYS_DATASET_MOVIE", "recsys_dataset_movie", "RECSYS_MOVIE_DATASET"])
def test_the_dataset_of_a_domain_is_chosen_by_its_variable_or_the_earlier_name_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "ml-25m")
    assert read_settings().datasets == {"movie": "ml-25m"}
    monkeypatch.delenv(name)
    (folder / ".env").write_text(f"{name}=ml-32m\n")
    assert read_settings().datasets == {"movie": "ml-32m"}


def test_several_datasets_are_chosen_at_once_and_the_variable_of_a_domain_takes_precedence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("RECSYS_DATASETS=movie=ml-20m, anime=myanimelist\nRECSYS_DATASET_MOVIE=ml-25m\n")
    assert read_settings().datasets == {"movie": "ml-25m", "anime": "myanimelist"}
    monkeypatch.setenv("RECSYS_DATASETS", "movie=ml-32m")
    assert read_settings().datasets == {"movie": "ml-32m", "anime": "myanimelist"}, "the environment precedes the file"
    monkeypatch.setenv("RECSYS_MOVIE_DATASET", "ml-20m")
    assert read_settings().datasets["movie"] == "ml-20m"
    monkeypatch.setenv("RECSYS_DATASET_MOVIE", "ml-latest-small")
    assert read_settings().datasets["movie"] == "ml-latest-small"
    monkeypatch.setenv("RECSYS_DATASETS", "movie")
    with pytest.raises(RecsysError, match=r"RECSYS_DATASETS=.*: it has to be like movie=ml-25m,shop=orders; "):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"), [("RECSYS_DATASET_MUVIE", "ml-25m"), ("RECSYS_DATASETS", "anime=x,muvie=ml-25m")]
)
def test_the_dataset_of_an_unknown_domain_is_refused_with_the_nearest_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    message = r"^RECSYS_DATASET_MUVIE=ml-25m: unknown domain 'muvie' \(did you mean movie\?\); known: anime, movie; "
    monkeypatch.setenv("RECSYS_HOME", str(folder))
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        read_settings()
    assert read_settings_before_import().datasets["muvie"] == "ml-25m", "`recsys import` may be about to declare it"
    monkeypatch.delenv(name)
    (folder / ".env").write_text(f"{name}={value}\n")
    with pytest.raises(UsageError, match=message):
        read_settings()
    (folder / "datasets").mkdir()
    (folder / "datasets" / "films.yaml").write_text("domain: muvie\n")
    assert read_settings().datasets["muvie"] == "ml-25m"
