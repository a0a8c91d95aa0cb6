"""`recsys serve`."""

from typing import Annotated

import typer

from recsys_dagster.settings import read_settings


def serve(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; another one than 127.0.0.1 needs RECSYS_SERVE_TOKEN.")
    ] = "127.0.0.1",
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Number of processes.")] = 1,
) -> None:
    """Answer over HTTP with the published lists of all domains, until Ctrl-C.

    It follows each new publication within seconds. The endpoints are described
    at /docs. Example:

    [dim]recsys serve --port 8000[/dim]

    [dim]curl "http://127.0.0.1:8000/v1/movie/users/1/recommendations?n=5"[/dim]
    """
    settings = read_settings()
    from recsys_dagster.serving.service.server import run_server

    run_server(settings, host, port, workers)
