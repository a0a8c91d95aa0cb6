"""What several commands ask for in the same words."""

from typing import Annotated

import typer

from recsys_dagster.domains import DOMAINS

ALL = "all"
KNOWN_DOMAINS = ", ".join(DOMAINS)
DomainOption = Annotated[str, typer.Option("--domain", "-d", help=f"One of: {KNOWN_DOMAINS}.", show_default=False)]
