"""A command of `recsys` as a user types it, run in this process."""

import pytest

from recsys_dagster.cli import main as cli


class Typed:
    """What came of a command: exit code, and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        with pytest.raises(SystemExit) as exit_:
            cli.main(words)
        self.code = exit_.value.code
        self.out, self.err = capsys.readouterr()
