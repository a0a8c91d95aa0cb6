"""Serve the pages under RECSYS_HOME/reports on this machine, so that the Dagster UI can link to them.

Browsers do not follow links from a page of a server to a file, so the UI cannot open the files themselves.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from recsys_dagster.errors import RecsysError

HOST = "127.0.0.1"
PORT = 3001
LOCAL_URL = f"http://{HOST}:{PORT}"
"""Where `make dev` serves the pages."""


class _Pages(SimpleHTTPRequestHandler):
    """Serves HTML files; no lists of folders, no other files, no log."""

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        root = Path(self.directory).resolve()
        if path.suffix != ".html" or not path.resolve().is_relative_to(root):
            self.send_error(HTTPStatus.NOT_FOUND, "No such page")
            return None
        return super().send_head()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_pages(folder: Path, port: int = PORT) -> Iterator[str]:
    """Serve the HTML pages of the folder on the loopback interface during the block, and give their URL.

    Raises:
        RecsysError: the port is taken.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Pages, directory=str(folder)))
    except OSError as error:
        raise RecsysError(f"port {port} of {HOST} is taken ({error.strerror}); end the program that uses it") from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
