"""Define the errors that a user can fix; each message says in one line what is wrong and what to do.

The command line prints the message without a traceback; Dagster shows it as the cause of a failed step.
"""


class RecsysError(Exception):
    """Something outside the code is wrong: a file, the network, the disk, a setting, or another run. Exit code 1."""


class IncompleteError(RecsysError):
    """Everything was published, but parts of the run failed; the message lists them. Exit code 3."""


class UsageError(RecsysError):
    """The user named something that does not exist; the message lists what exists. Exit code 2."""


class TransientError(RecsysError):
    """The network or a server keeps failing; another attempt later may succeed."""
