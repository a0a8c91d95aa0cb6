"""The errors a person can do something about: one line that says what is wrong and what to do.

The command line prints their message without a traceback; Dagster shows them as the cause of a failed step.
"""


class RecsysError(Exception):
    """Something outside the code is wrong: a file, the network, the disk, another run."""


class IncompleteError(RecsysError):
    """Everything asked for is there but for parts that failed; the message names them. Exit code 3."""


class UsageError(RecsysError):
    """The caller named something that does not exist; the message lists what does. Exit code 2."""


class TransientError(RecsysError):
    """The network or a server failed again and again; another try later may succeed."""
