"""Define the errors that a user can fix; each message says in one line what is wrong and what to do.

The command line prints the message without a traceback; Dagster shows it as the cause of a failed step.
"""

import signal


class RecsysError(Exception):
    """Something outside the code is wrong: a file, the network, the disk, a setting, or another run.

    Attributes:
        exit_code: of the command line.
    """

    exit_code: int = 1


class IncompleteError(RecsysError):
    """Everything was published, but parts of the run failed; the message lists them. Exit code 3."""

    exit_code = 3


class WaitingError(RecsysError):
    """Everything was done, but lists wait for a person to approve them. Exit code 4."""

    exit_code = 4


class UsageError(RecsysError):
    """The user named something that does not exist; the message lists what exists. Exit code 2."""

    exit_code = 2


class TransientError(RecsysError):
    """The network or a server keeps failing; another attempt later may succeed."""


class StoppedError(RecsysError):
    """The user or the system asked the command to stop. Exit code 130 (SIGINT) or 143 (SIGTERM).

    Attributes:
        exit_code: 128 plus the number of the signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}; what was published stays; run it again at any time")
        self.exit_code = 128 + number
