"""What several commands ask for in the same words."""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from recsys_dagster.domains import DOMAINS
from recsys_dagster.errors import RecsysError
from recsys_dagster.settings import Settings

ALL = "all"
KNOWN_DOMAINS = ", ".join(DOMAINS)
DomainOption = Annotated[str, typer.Option("--domain", "-d", help=f"One of: {KNOWN_DOMAINS}.", show_default=False)]


def read_settings(**chosen: Any) -> Settings:
    """Read the settings, those `chosen` on the command line laid over them.

    Raises:
        RecsysError: a value is not what it should be; the message names each variable.
    """
    try:
        return Settings(**chosen)
    except ValidationError as error:
        faults = [
            f"RECSYS_{'_'.join(map(str, fault['loc'])).upper()}={fault['input']}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise RecsysError("; ".join(faults) + "; set it right in the environment or in .env") from error
