"""Every setting of the project, read from the environment (prefix RECSYS_) and from `.env`."""

from pathlib import Path
from typing import Annotated

from pydantic import ByteSize, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from recsys_dagster.domains import Domain


class Settings(BaseSettings):
    """What a deployment may choose. All of it has a default that works without network."""

    model_config = SettingsConfigDict(env_prefix="RECSYS_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path("data"), description="Folder of everything the project writes.")
    anime_dataset: str | None = Field(None, description="Dataset id of the anime domain; None: the domain's default.")
    movie_dataset: str | None = Field(None, description="Dataset id of the movie domain; None: the domain's default.")
    mirror: str | None = Field(
        None, description="Folder or base URL that holds <dataset id>.zip; asked before the publisher."
    )
    seed: int = Field(42, description="Seed of the folds by hash, of the samples and of every random model.")
    memory_limit: str | None = Field(
        None, description="Upper bound of DuckDB's memory, such as '4GB'; beyond it spills."
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
        description="Wall time that the fit of one model may take, and its evaluation; beyond it the model has failed.",
    )
    budget_seconds: float = Field(
        1200,
        gt=0,
        description="Wall time that a model may be expected to take, to be among those that a run fits unless named.",
    )
    budget_memory: ByteSize | None = Field(
        None, description="Memory that it may be expected to take, such as '4GiB'; None: what the machine has left."
    )
    schedules: bool = Field(False, description="Whether schedules and sensors run unless the UI says otherwise.")
    retrain_cron: str = Field(
        "0 4 * * 1", pattern=r"^(\S+ +){4}\S+$", description="When both domains are retrained, in UTC, as in a crontab."
    )
    stale_days: float = Field(8, gt=0, description="Age from which the published lists of a domain raise an alarm.")
    webhook: SecretStr | None = Field(
        None, description="URL that alarms are posted to, as JSON with the key `text`; None: to the log alone."
    )
    top_n: int = Field(100, ge=1, description="Length of the published list of each user.")

    keep_versions: int = Field(
        5, ge=1, description="Versions of each model that are kept; the champion and its predecessor always are."
    )

    max_rejected: float = Field(0.05, ge=0, le=1, description="Share of a raw file's rows that may be rejected.")
    volume_loss: float = Field(
        0.1, ge=0, le=1, description="Share of a table's rows that may be gone since the last publication."
    )
    volume_growth: float = Field(1.0, ge=0, description="Share of a table's rows that may have been added since.")
    max_drift: float = Field(
        0.25, ge=0, description="Population stability index of ratings and of popularity that is tolerated."
    )
    gate_coverage_tolerance: float = Field(
        0.5, ge=0, le=1, description="Share of the champion's coverage@10 that a challenger may lose."
    )
    gate_rmse_tolerance: float = Field(
        0.05, ge=0, description="Share of the champion's RMSE by which a challenger's may be higher, if both have one."
    )
    gate_least_active_tolerance: float = Field(
        0.1, ge=0, le=1, description="Share of NDCG@10 that a challenger may lose over the least active users."
    )

    @field_validator("models", "extra_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    def dataset_of(self, domain: Domain) -> str:
        """Return the id of the dataset that the domain runs on."""
        return getattr(self, f"{domain.name}_dataset") or domain.default_dataset
