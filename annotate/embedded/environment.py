"""The environment of the embedded server: `argilla-server` holds other versions of pydantic and httpx than we do, so it
gets a Python environment of its own, made at first use out of `requirements.txt`.

The list is complete and pinned, each file by its digest (`make locks` renews it), and nothing is resolved or built:
what is installed today is installed tomorrow. The folder's name is a digest of the list and the Python, so other pins
make another environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hardcut.engine.files import storage_error
from hardcut.engine.progress import Progress
from hardcut.media.lease import exclusive_lock
from hardcut.schemas.errors import MissingDependency

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_PYTHONS = ("3.13", "3.12", "3.11")
"""The Python versions that all pinned packages have wheels for."""
_DONE = "hardcut-made"
"""A file that stands in an environment that is whole."""
_DRAFT = ".new"


def environment(root: Path, progress: Progress, say: Callable[[str], None]) -> Path:
    """The Python of the server's environment under `root`; made first where it is missing, about a minute once.

    It is built in a folder aside and moved into place, so an interrupted start leaves nothing that is taken for whole;
    two that start at once build it once. Environments of other pins that no server uses are removed.

    Raises MissingDependency where no Python fits or a package cannot be had, StorageError where the disk refuses.
    """
    base, version = _base_python()
    folder = root / _key(version)
    python = folder / "bin" / "python"
    if _is_whole(folder):
        return python
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _one_maker(root, say):
            if not _is_whole(folder):
                say(f"making the reviewers' environment, once, about a minute and 250 MB: {folder}")
                _make(base, folder, progress)
                _remove_others(folder)
    except OSError as error:
        raise storage_error(root, error) from error
    return python


def made(root: Path) -> Path | None:
    """The Python of that environment where it is there and whole. Raises MissingDependency where none fits."""
    folder = root / _key(_base_python()[1])
    return folder / "bin" / "python" if _is_whole(folder) else None


def lease(python: Path) -> Path:
    """The file that a server holds (media.lease.shared) while it runs in this environment: it is not removed then."""
    folder = python.parent.parent
    return folder.with_name(f".{folder.name}.lock")


def _is_whole(folder: Path) -> bool:
    return (folder / _DONE).is_file() and (folder / "bin" / "python").exists()  # its own Python may have been removed


def _key(version: str) -> str:
    return hashlib.sha256(f"{version}\n{REQUIREMENTS.read_text(encoding='utf-8')}".encode()).hexdigest()[:16]


def _base_python() -> tuple[Path, str]:
    """This Python where the pins have wheels for it, else one on the path, and its version."""
    if (mine := f"{sys.version_info[0]}.{sys.version_info[1]}") in _PYTHONS:
        return Path(sys.executable), mine
    for version in _PYTHONS:
        found = shutil.which(f"python{version}")
        if found and _works(Path(found)):
            return Path(found), version
    raise MissingDependency(
        "the embedded Argilla needs Python 3.11, 3.12 or 3.13: install one of them (python3.13 on the path is enough), "
        "or use an Argilla that runs elsewhere with --url"
    )


def _works(python: Path) -> bool:
    """A shim of pyenv's stands on the path for a Python that is not switched on, and can do nothing."""
    return (
        subprocess.run([python, "-I", "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0
    )


@contextmanager
def _one_maker(root: Path, say: Callable[[str], None]) -> Iterator[None]:
    with (root / ".making.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making the reviewers' environment: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(base: Path, folder: Path, progress: Progress) -> None:
    # another folder each time: the pip of a killed start may still write into its own
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=_DRAFT, dir=folder.parent))
    log = folder.with_name("install.log")
    try:
        with log.open("w", encoding="utf-8") as lines:
            _run([base, "-I", "-m", "venv", draft], lines.write)
            _install(draft / "bin" / "python", lines.write, progress)
        (draft / _DONE).touch()
        shutil.rmtree(folder, ignore_errors=True)  # one that is no longer whole
        draft.replace(folder)  # nothing in it is started by its scripts, whose first lines name the draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    log.unlink()


def _install(python: Path, write: Callable[[str], object], progress: Progress) -> None:
    pip: list[str | Path] = [python, "-I", "-m", "pip", "install"]
    exactly = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    pins = re.findall(r"^\S+==", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)

    def show(line: str) -> None:
        write(line)
        if line.startswith(("Collecting ", "Processing ")):
            progress.advanced("packages")
        elif line.startswith("Installing "):
            progress.finished("packages")
            progress.started("installing", None)

    progress.started("packages", len(pins))
    _run([*pip, *exactly, *quiet, "-r", REQUIREMENTS], show)
    progress.finished("installing")


def _run(command: Sequence[str | Path], show: Callable[[str], object]) -> None:
    """Runs a command, each line of its output shown as it comes; ended with this process, also where that ends by an
    exception."""
    last = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            for line in process.stdout or ():
                show(line)
                last = _reason(line) or last
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise MissingDependency(
            f"cannot make the environment of the embedded Argilla: {last or f'{command[0]} failed'}; mend it and start "
            "again, or use an Argilla that runs elsewhere with --url"
        )


def _reason(line: str) -> str:
    """What a line of pip or venv says about why it failed; empty for other lines."""
    found = re.match(r"\s*(?:ERROR|Error|error):\s*(.+)", line) or re.match(r"(.*ensurepip is not.*)", line)
    return found[1].strip() if found else ""


def _remove_others(folder: Path) -> None:
    """What killed starts left, and environments of other pins, unless a server of ours runs in them."""
    for draft in folder.parent.glob(f".*{_DRAFT}"):
        shutil.rmtree(draft, ignore_errors=True)
    for other in folder.parent.iterdir():
        if other != folder and (other / _DONE).is_file():
            with exclusive_lock(lease(other / "bin" / "python")) as free:
                if free:
                    shutil.rmtree(other, ignore_errors=True)
