"""Back up what cannot be made again (lists that are published or wait, models, champions, their history); restore it.

A backup is consistent while runs go on. Files are hard-linked into a folder first, which takes milliseconds; whatever
runs replace by renaming stays whole behind its link. If a domain's champion or its lists change meanwhile, the
domain is linked again. SQLite files are copied by SQLite itself.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from recsys_dagster.domains import domain_names
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.locks import domain_lock
from recsys_dagster.runtime.storage import explaining_disk_full, remove_leftovers, replacing, sha256, temporary_folder
from recsys_dagster.runtime.versions import code_version

FORMAT_VERSION = 1
CONTENTS = "backup.json"
"""Name of the member that lists the others with their checksums; the last one, so that a cut archive has none."""
LEFT_OUT = ("raw", "warehouse", "benchmarks", "cache", "published/built")
"""What a run makes again, relative to RECSYS_HOME."""
TRIES = 20
"""Times that a domain is linked again because a run changed it meanwhile."""
_SQLITE = ".db"
_NEXT_TO_A_DATABASE = ("-wal", "-shm", "-journal", ".wal", ".lock")


@dataclass(frozen=True)
class Backup:
    """What a backup contains.

    Attributes:
        created_at: time in UTC, as ISO text.
        code_version: of the project that made it.
        files: SHA-256 of each file, by its path relative to RECSYS_HOME.
    """

    created_at: str
    code_version: str
    files: dict[str, str]

    @property
    def domains(self) -> list[str]:
        """The domains whose published lists it contains."""
        paths = map(PurePosixPath, self.files)
        return sorted(path.stem for path in paths if path.parent == PurePosixPath("published"))


def write_backup(layout: Layout, archive: Path) -> Backup:
    """Write everything under RECSYS_HOME that a run cannot make again to a tar archive, readable by its owner only.

    Args:
        layout: of the RECSYS_HOME.
        archive: the file to write; it is replaced only when the backup is complete. `.gz` at its end compresses.

    Raises:
        RecsysError: there is nothing to back up, the archive lies where it would back up itself, the disk is full, or
            a domain changes faster than it can be read.
    """
    home = layout.home.resolve()
    if not (home / "published").is_dir() and not (home / "models").is_dir():
        raise RecsysError(f"{home}: nothing to back up; RECSYS_HOME names another folder, or nothing was run yet")
    if archive.resolve().is_relative_to(home):
        raise RecsysError(f"{archive}: lies in RECSYS_HOME, which it is to back up; name a file elsewhere")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with _staging_folder(home, archive) as staged, explaining_disk_full(archive):
        for domain in _domains(home):
            _stage_domain(home, domain, staged)
        _stage(home, home, staged, skip={home / "published", home / "models"})
        with replacing(archive) as beside:
            beside.touch(mode=0o600)
            with _open_archive(beside) as tar:
                return _pack(staged, tar)


def restore_backup(archive: Path, layout: Layout, *, replace: bool = False) -> Backup:
    """Put what a backup contains under RECSYS_HOME.

    Everything is unpacked and compared with its checksum first. What is there already is moved to a folder
    `before-restore-<time>` under RECSYS_HOME if `replace` is true.

    Raises:
        RecsysError: the archive is damaged or no backup, RECSYS_HOME is in use or has such files already; nothing is
            changed then.
    """
    home = layout.home
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for domain in {*domain_names(layout.datasets()), *_domains(home)}:
            stack.enter_context(domain_lock(layout, domain))
        unpacked = stack.enter_context(temporary_folder(home, "restore"))
        stack.enter_context(explaining_disk_full(home))
        backup = _unpack(archive, unpacked)
        entries = sorted(unpacked.iterdir())
        present = [entry.name for entry in entries if (home / entry.name).exists()]
        if present and not replace:
            raise RecsysError(
                f"{home}: has {', '.join(present)} already; restore into an empty RECSYS_HOME, or add --replace to "
                "move them aside"
            )
        aside = home / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for entry in entries:
            if (home / entry.name).exists():
                aside.mkdir(exist_ok=True)
                os.replace(home / entry.name, aside / entry.name)
            os.replace(entry, home / entry.name)
    return backup


def _domains(home: Path) -> list[str]:
    """Return the domains that have models or published lists, also those that are no longer known."""
    published = (path.stem for path in (home / "published").glob("*.duckdb"))
    return sorted({*published, *(path.name for path in (home / "models").glob("[!.]*") if path.is_dir())})


def _of_domain(home: Path, domain: str) -> list[Path]:
    """The files and folders of a domain that must fit together: its models, and the lists of today, before and next."""
    published, earlier = Path("published", f"{domain}.duckdb"), Path("published", "previous")
    # os.walk passes over a folder that is removed meanwhile, such as a temporary one of a run.
    folders = (Path(folder) for folder, _, files in os.walk(home / earlier) if published.name in files)
    layout = Layout(home)
    waiting = [path for path in (layout.waiting(domain), layout.review(domain)) if path.exists()]
    return [home / "models" / domain, home / published, *(folder / published.name for folder in folders), *waiting]


@contextlib.contextmanager
def _staging_folder(home: Path, archive: Path) -> Iterator[Path]:
    """Give an empty folder, in RECSYS_HOME where files can be linked, else next to the archive."""
    remove_leftovers(home, "backup")
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder(home, "backup"))
        except OSError:  # a home that is mounted read-only
            folder = stack.enter_context(temporary_folder(archive.parent, "backup"))
        yield folder


def _stage_domain(home: Path, domain: str, staged: Path) -> None:
    """Link a domain's models and published files, all of one moment."""
    for _ in range(TRIES):
        before = _signature(home, domain)
        with contextlib.suppress(FileNotFoundError):  # an old version was removed meanwhile
            for path in _of_domain(home, domain):
                _stage(path, home, staged)
            if _signature(home, domain) == before:
                published, *earlier = _of_domain(home, domain)[1:]
                for path in earlier:
                    if published.exists() and path.samefile(published):
                        # A run was killed while it published: this earlier file is the published one itself.
                        (staged / path.relative_to(home)).unlink()
                return
        for path in _of_domain(staged, domain):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        time.sleep(0.05)
    raise RecsysError(f"{domain}: changed {TRIES} times while it was read; back up again in a moment")


def _signature(home: Path, domain: str) -> list[tuple[Path, int, int] | None]:
    """Return what differs once the champion or the published lists have been replaced."""
    models, *published = _of_domain(home, domain)
    found: list[tuple[Path, int, int] | None] = []
    for path in (models / "champion.json", *sorted(published)):
        try:
            stat = path.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((path, stat.st_ino, stat.st_mtime_ns))
    return found


def _stage(path: Path, home: Path, staged: Path, skip: Set[Path] = frozenset()) -> None:
    """Link a file, or every file of a folder, to its place under `staged`; what does not exist is passed over."""
    name = path.relative_to(home).as_posix()
    if path in skip or name in LEFT_OUT or path.name.startswith((".tmp-", "before-restore-")) or path.is_symlink():
        return
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            _stage(entry, home, staged, skip)
    elif path.is_file() and not path.name.endswith(_NEXT_TO_A_DATABASE):
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == _SQLITE:
            _copy_sqlite(path, target)
            return
        try:
            os.link(path, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            shutil.copy2(path, target)


def _copy_sqlite(path: Path, target: Path) -> None:
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    copy = sqlite3.connect(target)
    try:
        source.backup(copy)
    except sqlite3.DatabaseError:  # a file of that name that is no database
        copy.close()
        shutil.copy2(path, target)
    finally:
        source.close()
        copy.close()


def _open_archive(path: Path) -> tarfile.TarFile:
    """Open an archive for writing; `dereference` packs two names of one file as two files."""
    if path.suffix == ".gz":
        return tarfile.open(path, "w:gz", compresslevel=1, dereference=True)
    return tarfile.open(path, "w", dereference=True)


def _pack(staged: Path, tar: tarfile.TarFile) -> Backup:
    """Add every file, then the list of them."""
    files: dict[str, str] = {}
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        name = path.relative_to(staged).as_posix()
        with path.open("rb") as file:
            hashed = _Hashed(file)
            tar.addfile(tar.gettarinfo(fileobj=file, arcname=name), hashed)
        files[name] = hashed.digest()
    backup = Backup(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}", code_version(), files)
    content = json.dumps({"format_version": FORMAT_VERSION, **vars(backup)}, indent=1).encode()
    member = tarfile.TarInfo(CONTENTS)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))
    return backup


class _Hashed(io.RawIOBase):
    """A file that is hashed as it is read, so that a log that grows has the checksum of what was packed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        return block

    def digest(self) -> str:
        return self._hash.hexdigest()


def _unpack(archive: Path, folder: Path) -> Backup:
    """Unpack a backup into an empty folder and compare each file with its checksum."""
    damaged = f"{archive}: damaged, or no backup of `recsys backup`"
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _unpack_member(tar, member, folder, damaged)
    except FileNotFoundError:
        raise RecsysError(f"{archive}: not there; name a file that `recsys backup` wrote") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cause = (str(error) or "it ends too early").partition("\n")[0].rstrip(":")
        raise RecsysError(f"{damaged} ({cause}); take another one") from None
    try:
        content = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        version = content.pop("format_version")
        if version != FORMAT_VERSION:
            raise RecsysError(
                f"{archive}: backup format {version!r}, where this version of recsys reads {FORMAT_VERSION}; restore "
                "it with the version that made it"
            )
        backup = Backup(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise RecsysError(f"{damaged} (no {CONTENTS}); take another one") from None
    (folder / CONTENTS).unlink()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wrong = sorted(there ^ backup.files.keys()) or [
        name for name, checksum in backup.files.items() if sha256(folder / name) != checksum
    ]
    if wrong:
        raise RecsysError(f"{damaged} ({wrong[0]} is not what was packed); take another one")
    return backup


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, damaged: str) -> None:
    path = PurePosixPath(member.name)
    file = tar.extractfile(member) if member.isreg() else None
    if file is None or path.is_absolute() or not path.parts or ".." in path.parts:
        raise RecsysError(f"{damaged} ({member.name!r} is not a file under RECSYS_HOME); take another one")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with file, target.open("xb") as output:
        shutil.copyfileobj(file, output)
    target.chmod(member.mode & 0o777)
