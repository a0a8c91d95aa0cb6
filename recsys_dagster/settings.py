"""Define every setting of the project; the values come from environment variables RECSYS_… and from a file `.env`."""

import difflib
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from recsys_dagster.domains import BUILT_IN_DOMAINS, Domain, domain_names, unknown_domain
from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.runtime.cron import cron_problem
from recsys_dagster.runtime.layout import MAX_KEPT_LISTS, Layout
from recsys_dagster.runtime.text import printable
from recsys_dagster.runtime.urls import is_url, url_problem

PREFIX = "RECSYS_"
NOT_SETTINGS = frozenset({"RECSYS_SOAK_POINTS"})
"""Variables with the prefix that only the tests read."""
_NO_OTHER_STORE = "tables are always made as Parquet and DuckDB files under RECSYS_HOME, a folder (see docs/spark.md)"
_NOT_SUPPORTED = {f"{PREFIX}WAREHOUSE": f"is not supported: {_NO_OTHER_STORE}"}
"""Variables that are no settings although one may expect them, and what holds instead."""

_PACKAGE = Path(__file__).resolve().parent
PROJECT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else None
"""Folder of the project's checkout; None if the package is installed without it."""

_DATASET = f"{PREFIX}DATASET_"
_ALIASES = {f"{PREFIX}{domain.upper()}_DATASET": domain for domain in BUILT_IN_DOMAINS}
"""Earlier names of the variables that choose the datasets of the built-in domains."""

_MEMORY_SIZE = re.compile(r"(\d+(\.\d+)?) *(%|[KMGT](i?B)?)", re.IGNORECASE | re.ASCII)
_OBJECT_STORE = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_LONGEST_SECONDS = 366 * 86_400
_LARGEST_SEED = 2**32 - 1


def default_home() -> Path:
    """Return the default of RECSYS_HOME: the folder `data` of the project's checkout, else of the current folder."""
    return (PROJECT or Path()) / "data"


class Settings(BaseSettings):
    """The choices of a deployment; the defaults work without network. Empty variables count as not set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    home: Path = Field(
        default_factory=default_home,
        validate_default=True,
        description="Folder that everything is written to; default: the project's `data`.",
    )
    datasets: Annotated[Mapping[str, str], NoDecode] = Field(
        {},
        validate_default=True,
        description="Dataset of each domain, such as movie=ml-25m,shop=orders; RECSYS_DATASET_<DOMAIN> takes "
        "precedence. A domain that is not named keeps the dataset that is published, or starts with its default.",
    )
    mirror: SecretStr | None = Field(
        None,
        description="Folder or base URL that has <dataset id>.zip and is tried before the publisher. A URL may contain "
        "a user name, a password and a query; they are not written anywhere.",
    )
    mirror_fallback: bool = Field(
        False, description="Whether the publisher is tried, with a warning, when the mirror cannot be reached."
    )
    download_seconds: float = Field(
        6 * 3600, gt=0, le=_LONGEST_SECONDS, description="Longest total time of a download, with all its retries."
    )
    download_bytes: ByteSize = Field(
        ByteSize(20 * 2**30), gt=0, description="Largest size of a downloaded archive, such as '20GiB'."
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret from which the pseudonyms of user names are derived; None: a random one, kept in the file "
        "`pseudonym.key` under RECSYS_HOME. Another key gives other user ids.",
    )
    seed: int = Field(
        42,
        ge=0,
        le=_LARGEST_SEED,
        description="Seed of the generated samples, of the folds (where they are made by hash), and of all models.",
    )
    memory_limit: str | None = Field(
        None, description="Memory limit of DuckDB, such as '4GB' or '50%'; beyond it DuckDB spills to disk."
    )
    engine: Literal["duckdb", "spark"] = Field(
        "duckdb", description="What makes the tables, and the lists of all users: duckdb, or spark (see docs/spark.md)."
    )
    spark_master: str | None = Field(
        None,
        description="Spark master, such as spark://host:7077, yarn or local[4]; None: what spark-defaults.conf says, "
        "else all cores of this machine.",
    )
    spark_memory: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]*[mgt]$",
        description="Memory of Spark's driver, which does all the work where Spark runs on this machine, such as 8g; "
        "None: what spark-defaults.conf says, else half of the free memory.",
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names of the models that a run fits, separated by commas; `all`; empty: all within the budget.",
    )
    extra_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models of other packages, such as my_package.module:MyModel, separated by commas.",
    )
    model_seconds: float = Field(
        4 * 3600,
        gt=0,
        le=_LONGEST_SECONDS,
        description="Time limit for fitting a model, and for evaluating it; a model that takes longer has failed.",
    )
    evaluation_users: int = Field(
        50_000,
        gt=0,
        description="Users of a fold that models are evaluated on; of more, so many are drawn, the same for all.",
    )
    budget_seconds: float = Field(
        1200,
        gt=0,
        le=_LONGEST_SECONDS,
        description="A run skips models whose estimated time is longer, unless they are named in RECSYS_MODELS.",
    )
    budget_memory: ByteSize | None = Field(
        None,
        gt=0,
        description="A run skips models whose estimated memory is larger, such as '4GiB'; None: the available memory.",
    )
    wait_seconds: float = Field(
        3600,
        ge=0,
        le=_LONGEST_SECONDS,
        description="How long a run that was started by Dagster waits for another run of the same domain to end.",
    )
    schedules: bool = Field(False, description="Whether schedules and sensors are on unless the UI switches them off.")
    retrain_cron: str = Field(
        "0 4 * * 1",
        description="When all domains are retrained: a cron expression, in the time zone RECSYS_TIMEZONE.",
    )
    timezone: str = Field("UTC", description="Time zone of RECSYS_RETRAIN_CRON, such as Europe/Berlin.")
    stale_days: float = Field(8, gt=0, description="Age in days at which published recommendations raise an alarm.")
    webhook: SecretStr | None = Field(
        None, description="URL that alarms are posted to, as JSON with the key `text`; None: alarms go to the log only."
    )
    pages_url: str | None = Field(
        None, description="URL under which the folder `reports` is served; the Dagster UI links to the pages there."
    )
    serve_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="Token that `recsys serve` asks for; needed when it listens on another address than 127.0.0.1.",
    )
    serve_cors: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may ask `recsys serve`, such as https://shop.example, separated by commas."
    )
    export: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Where every publication is copied to: folders, postgresql:// and redis:// addresses, separated by "
        "commas. Addresses may contain a password; it is not written anywhere.",
    )
    feedback: bool = Field(
        False,
        description="Whether `recsys serve` stores feedback and which lists it served, under RECSYS_HOME, and runs "
        "learn from it.",
    )
    feedback_events: Annotated[tuple[str, ...], NoDecode] = Field(
        ("click", "like", "play", "purchase"),
        description="Events of feedback that count as clicks and become interactions in the next run, separated by "
        "commas; one with a rating always becomes a rating.",
    )
    mlflow_uri: SecretStr | None = Field(
        None,
        description="MLflow in which every fit becomes a run, and champion and challenger aliases: the URL of a "
        "server, or a database such as sqlite:////srv/mlflow.db. A password in it is not written anywhere.",
    )
    promotion: Literal["automatic", "manual"] = Field(
        "automatic",
        description="Whether a run publishes its lists, or lets them wait for `recsys approve`: automatic or manual.",
    )
    top_n: int = Field(100, ge=1, description="Number of published recommendations per user.")
    keep_versions: int = Field(
        5, ge=1, description="Number of versions kept of each model, and of champions before the present one."
    )
    keep_lists: int = Field(
        3,
        ge=1,
        le=MAX_KEPT_LISTS,
        description="Number of earlier published files kept of each domain, which `recsys rollback` can go back to.",
    )
    max_rejected: float = Field(
        0.05, ge=0, le=1, description="Largest share of the rows of a raw file that may be rejected."
    )
    volume_loss: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Largest share of a table's rows that may have gone since the last publication.",
    )
    volume_growth: float = Field(
        1.0, ge=0, description="Largest growth of a table since the last publication, as a share of its rows."
    )
    max_drift: float = Field(
        0.25, ge=0, description="Largest population stability index of the ratings and of the items' popularity."
    )
    gate_coverage_tolerance: float = Field(
        0.5, ge=0, le=1, description="Share of the champion's coverage@10 that a challenger may lose."
    )
    gate_rmse_tolerance: float = Field(
        0.05, ge=0, description="Share by which a challenger's RMSE may exceed the champion's, if both predict ratings."
    )
    gate_least_active_tolerance: float = Field(
        0.1, ge=0, le=1, description="Share of the NDCG@10 of the least active users that a challenger may lose."
    )

    @field_validator("models", "extra_models", "serve_cors", "export", "feedback_events", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("datasets", mode="before")
    @classmethod
    def _split_datasets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(domain.strip() and dataset.strip() for domain, _, dataset in pairs):
            raise ValueError("it has to be like movie=ml-25m,shop=orders")
        return {domain.strip(): dataset.strip() for domain, _, dataset in pairs}

    @field_validator("home")
    @classmethod
    def _make_home_absolute(cls, value: Path) -> Path:
        if _OBJECT_STORE.match(str(value)):
            raise ValueError(f"an object store is not supported: {_NO_OTHER_STORE}")
        try:
            return value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("there is no such user") from None

    @field_validator("memory_limit")
    @classmethod
    def _check_memory_limit(cls, value: str | None) -> str | None:
        match = _MEMORY_SIZE.fullmatch(value.strip()) if value is not None else None
        if value is not None and (match is None or float(match[1]) == 0):
            raise ValueError("it has to be a size such as 4GB, 512MiB or 50%")
        return value

    @field_validator("retrain_cron")
    @classmethod
    def _check_cron(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("there is no such time zone; names are like Europe/Berlin or UTC") from None
        return value

    @field_validator("mirror", "webhook")
    @classmethod
    def _check_url(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else ""
        if is_url(text) and (problem := url_problem(text)):
            raise ValueError(problem)
        return value

    @field_validator("webhook")
    @classmethod
    def _check_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_url(value.get_secret_value()):
            raise ValueError("it has to begin with http:// or https://")
        return value

    def dataset_of(self, domain: Domain) -> str:
        """Return the id of the domain's dataset."""
        return self.datasets.get(domain.name, domain.default_dataset)

    def with_datasets(self, datasets: Mapping[str, str]) -> Self:
        """Return the settings with the given dataset of each named domain; those of other domains stay."""
        return self.model_copy(update={"datasets": {**self.datasets, **datasets}})


def read_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment and from a file `.env`.

    The file is the one in the current folder, else the one of the project. Paths in it are relative to its folder.

    Args:
        overrides: values that take precedence over both, such as those of command line options.

    Raises:
        RecsysError: a variable is unknown or has an invalid value, or the file is damaged; the message names all faults
            in one line, and no secret.
        UsageError: a dataset is chosen for a domain that does not exist.
    """
    settings = read_settings_before_import(**overrides)
    refuse_unknown_domains(settings.datasets, settings.home)
    return settings


def read_settings_before_import(**overrides: Any) -> Settings:
    """Read the settings as `read_settings` does; datasets of domains that do not exist yet may be chosen."""
    _refuse_unknown(os.environ, "the environment")
    given = {name.upper() for name, value in os.environ.items() if value}
    file = _find_env_file()
    from_file: dict[str, Any] = {}
    datasets = _chosen_datasets(os.environ)
    if file is not None:
        values = _read_env_file(file)
        _refuse_unknown(values, str(file))
        datasets = [*_chosen_datasets(values), *datasets]  # the last one wins
        for name, value in values.items():
            if name.upper() not in given and name.upper().startswith(PREFIX) and value:
                from_file[name.upper().removeprefix(PREFIX).lower()] = _relative_to(file.parent, name.upper(), value)
    try:
        return Settings(**{**from_file, "datasets": ",".join(datasets), **overrides})
    except ValidationError as error:
        raise RecsysError(
            f"{'; '.join(_describe(fault) for fault in error.errors())}; correct it in the environment or in "
            f"{file or 'a file .env'}"
        ) from None


def dataset_variable(domain: str) -> str:
    """Return the name of the variable that chooses the dataset of a domain."""
    return f"{PREFIX}DATASET_{domain.upper()}"


def refuse_unknown_domains(datasets: Mapping[str, str], home: Path) -> None:
    """Raise UsageError if a dataset is chosen for a domain that is neither built in nor that of a declaration."""
    known = domain_names(Layout(home).datasets(), datasets) if datasets.keys() - BUILT_IN_DOMAINS else []
    for domain, dataset in datasets.items():
        if domain not in BUILT_IN_DOMAINS and domain not in known:
            raise UsageError(f"{dataset_variable(domain)}={printable(dataset)}: {unknown_domain(domain, known)}")


def variable_names() -> list[str]:
    """Return the names of the environment variables of all settings; for RECSYS_DATASET_… see `dataset_variable`."""
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def _chosen_datasets(variables: Mapping[str, str | None]) -> list[str]:
    """Return the choices of datasets in the form of RECSYS_DATASETS; the last one of a domain counts."""
    values = {name.upper(): value for name, value in variables.items() if value}
    aliases = [f"{domain}={values[alias]}" for alias, domain in _ALIASES.items() if alias in values]
    of_domains = [
        f"{name.removeprefix(_DATASET).lower()}={value}" for name, value in values.items() if name.startswith(_DATASET)
    ]
    return [*filter(None, [values.get(f"{PREFIX}DATASETS")]), *aliases, *of_domains]


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    """Raise RecsysError if one of the names has the prefix but is not a setting."""
    known = [*variable_names(), *map(dataset_variable, BUILT_IN_DOMAINS), *_ALIASES]
    unknown = sorted(
        name
        for name in names
        if name.upper().startswith(PREFIX)
        and name.upper() not in {*known, *NOT_SETTINGS}
        and not re.fullmatch(rf"{_DATASET}\w+", name, re.IGNORECASE)
    )
    if unknown:
        faults = []
        for name in unknown:
            if reason := _NOT_SUPPORTED.get(name.upper()):
                faults.append(f"{name} {reason}")
                continue
            suffixes = [one.removeprefix(PREFIX) for one in known]
            nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), suffixes, n=1)
            meant = [PREFIX + suffix for suffix in nearest]
            meant = [dataset_variable(_ALIASES[one]) if one in _ALIASES else one for one in meant]
            faults.append(f"{name} is not a setting" + (f" (did you mean {meant[0]}?)" if meant else ""))
        raise RecsysError(f"{'; '.join(faults)}; correct or remove it in {where}")


def _find_env_file() -> Path | None:
    folders = [Path.cwd(), *([PROJECT] if PROJECT else [])]
    return next((folder / ".env" for folder in folders if (folder / ".env").is_file()), None)


def _read_env_file(path: Path) -> Mapping[str, str | None]:
    """Return the variables of a `.env` file; raise RecsysError, which names the line, if it cannot be parsed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecsysError(f"{path}: cannot be read ({error.strerror}); make it readable, or remove it") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecsysError(f"{path}, line {line}: expected UTF-8; save the file in that encoding") from None
    for binding in parse_stream(io.StringIO(text)):
        is_setting = binding.key is not None and binding.key.upper().startswith(PREFIX)
        if binding.error or (is_setting and "\n" in (binding.value or "")):
            line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
            raise RecsysError(f"{path}, line {line}: not of the form NAME=value; is a quote missing?")
        if is_setting and binding.value is None:
            raise RecsysError(f"{path}, line {binding.original.line}: {binding.key} has no value; add =…")
    return dotenv_values(stream=io.StringIO(text))


def _relative_to(folder: Path, name: str, value: str) -> str:
    """Return the value of a path setting relative to the folder of the file that it comes from."""
    is_path = name in (f"{PREFIX}HOME", f"{PREFIX}MIRROR") and "://" not in value
    return str(folder / Path(value).expanduser()) if is_path and not value.startswith("~") else value


def _describe(fault: Mapping[str, Any]) -> str:
    """Describe a validation error in one line, without the value of a secret."""
    field = str(fault["loc"][0]) if fault["loc"] else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    is_secret = field in Settings.model_fields and "SecretStr" in str(Settings.model_fields[field].annotation)
    shown = "" if is_secret else f"={printable(str(fault['input']))[:200]}"
    return f"{PREFIX}{field.upper()}{shown}: {message}"
