"""Download single files of a Kaggle dataset with kagglehub, bounded in time and size, which kagglehub is not.

kagglehub runs in a process of its own, on which the system enforces both bounds. What it has downloaded so far stays in
its cache.

    python -m recsys_dagster.ingest.kaggle HANDLE FILE SECONDS BYTES
"""

import contextlib
import errno
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.runtime.http_client import Deadline

_TOO_LARGE = "too large"


class KaggleError(RecsysError):
    """Kaggle does not deliver the file; the message says why."""


class NotInDatasetError(KaggleError):
    """The dataset has no such file."""


def download_file(handle: str, name: str, deadline: Deadline, limit: int) -> Path:
    """Return the path of a file of a Kaggle dataset, in the cache of kagglehub; download it if it is not there.

    Args:
        handle: `owner/name` of the dataset.
        name: of the file.
        deadline: until when.
        limit: largest size in bytes.

    Raises:
        NotInDatasetError: the dataset has no such file.
        KaggleError: the network, Kaggle or the credentials fail.
        TransientError: the deadline was reached.
        RecsysError: the file is larger.
    """
    command = [sys.executable, "-m", __name__, handle, name, str(deadline.remaining), str(limit)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode == -signal.SIGALRM:
        raise TransientError(
            f"{handle}: {name} not complete within RECSYS_DOWNLOAD_SECONDS={deadline.seconds:g}; run again to resume "
            "it, or raise the limit"
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise KaggleError(f"kagglehub ended with {done.returncode}") from None
    if "path" in answer:
        return Path(answer["path"])
    if answer["reason"] == _TOO_LARGE:
        raise RecsysError(
            f"{handle}: {name} is larger than RECSYS_DOWNLOAD_BYTES={limit}; raise the limit if the size is right"
        )
    raise (NotInDatasetError if answer["status"] == 404 else KaggleError)(answer["reason"])


def _download(handle: str, name: str) -> dict[str, str | int | None]:
    import kagglehub  # slow to import
    from kagglehub import exceptions

    try:
        return {"path": kagglehub.dataset_download(handle, path=name)}
    except (
        OSError,  # the base class of all errors of its HTTP library
        ValueError,
        exceptions.BackendError,
        exceptions.CredentialError,
        exceptions.DataCorruptionError,
        exceptions.NotFoundError,
        exceptions.UnauthenticatedError,
    ) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            return {"reason": _TOO_LARGE, "status": None}
        response = getattr(error, "response", None)
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return {"reason": reason, "status": None if response is None else response.status_code}


def main(handle: str, name: str, seconds: str, limit: str) -> None:
    """Download a file, and print its path or what failed as JSON; the system ends the process at its bounds."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, float(seconds)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    with contextlib.redirect_stdout(sys.stderr):
        answer = _download(handle, name)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
