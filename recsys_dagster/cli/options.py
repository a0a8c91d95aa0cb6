"""What several commands ask for in the same words."""

from typing import Annotated

import typer

from recsys_dagster.domains import BUILT_IN_DOMAINS

ALL = "all"
KNOWN_DOMAINS = f"{', '.join(BUILT_IN_DOMAINS)}, or a declared one"
DomainOption = Annotated[str, typer.Option("--domain", "-d", help=f"One of: {KNOWN_DOMAINS}.", show_default=False)]
