"""A program that has a DuckDB file open for writing, as DuckDB's own shell does, until it is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENT = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
for number, _ in enumerate(sys.stdin):
    try:
        connection.execute(f"CREATE TABLE note_{number} AS SELECT 1 AS i")
        print("written", flush=True)
    except duckdb.Error:
        print("refused", flush=True)
"""


class Client:
    """A program that has a DuckDB file open for writing."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._wait_for("open\n")

    def write(self) -> None:
        """Change the database, which begins a write-ahead log or goes on with it."""
        self._try_to_write("written\n")

    def write_in_vain(self) -> None:
        """Try to change the database, and expect that DuckDB refuses it."""
        self._try_to_write("refused\n")

    def _try_to_write(self, answer: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._wait_for(answer)

    def _wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line


@contextmanager
def connected(path: Path) -> Iterator[Client]:
    """Give a client that has the file open; it is killed with SIGKILL at the end."""
    client = Client(path)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()
        for pipe in (client.process.stdin, client.process.stdout):
            assert pipe is not None
            pipe.close()
