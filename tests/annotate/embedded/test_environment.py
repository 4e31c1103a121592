"""The environment of the server: made whole or not at all. With a short list of pins, so that it takes seconds."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardcut.annotate.embedded import environment as module
from hardcut.annotate.embedded.environment import REQUIREMENTS, environment, lease
from hardcut.engine.progress import NullProgress
from hardcut.media.lease import shared_lock
from hardcut.schemas.errors import MissingDependency

ONE = "backoff==2.2.1 \\\n    --hash=sha256:63579f9a0628e06278f7e47b7d7d5b6ce20dc65c5e96a6f3ca99a6adca0396e8\n"
OTHER = "# less\nsniffio==1.3.1 --hash=sha256:2f6da418d1f1e0fddd844478f41680e794e6051915791a034ff65e5f100525a2\n"


class Heard(NullProgress):
    """Keeps what progress is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def started(self, stage: str, total: int | None) -> None:
        self.said.append(("started", f"{stage} {total}"))

    def advanced(self, stage: str) -> None:
        self.said.append(("advanced", stage))

    def finished(self, stage: str) -> None:
        self.said.append(("finished", stage))


@dataclass(frozen=True)
class Made:
    """An environment, made after the process that made it first was killed in the middle."""

    root: Path
    pins: Path
    python: Path
    heard: Heard
    said: list[str]


@pytest.fixture(scope="module")
def made(argilla_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Needs `argilla_python` only to be skipped where packages cannot be had."""
    root, pins = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("pins") / "requirements.txt"
    pins.write_text(ONE)
    code = (
        "import sys\nfrom pathlib import Path\nfrom hardcut.annotate.embedded import environment as module\n"
        "from hardcut.engine.progress import NullProgress\nmodule.REQUIREMENTS = Path(sys.argv[2])\n"
        "module.environment(Path(sys.argv[1]), NullProgress(), print)"
    )
    with subprocess.Popen([sys.executable, "-c", code, root, pins]) as process:
        while not list(root.glob(".*.new/lib")):
            time.sleep(0.01)
            assert process.poll() is None
        process.kill()
    assert not _whole(root)
    heard, said = Heard(), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REQUIREMENTS", pins)
        yield Made(root, pins, environment(root, heard, said.append), heard, said)


def _whole(root: Path) -> set[Path]:
    return {path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}


def _imports(python: Path, name: str) -> bool:
    return subprocess.run([python, "-I", "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def test_after_a_killed_start_it_is_made_whole_and_then_once(made: Made) -> None:
    made.pins.write_text(ONE)
    assert _imports(made.python, "backoff") and not _imports(made.python, "pydantic")
    assert len(made.said) == 1 and str(made.python.parent.parent) in made.said[0]
    assert made.heard.said == [
        ("started", "packages 1"),
        ("advanced", "packages"),
        ("finished", "packages"),
        ("started", "installing None"),
        ("finished", "installing"),
    ]
    assert environment(made.root, made.heard, made.said.append) == made.python
    assert len(made.said) == 1, "the second time there is nothing to do"


def test_a_pin_that_cannot_be_had_is_told_in_one_line(made: Made) -> None:
    made.pins.write_text("backoff==0.0.0.dev0\n")
    before = _whole(made.root)
    with pytest.raises(MissingDependency, match=r"backoff==0\.0\.0\.dev0.*--url") as raised:
        environment(made.root, NullProgress(), print)
    assert raised.value.status == 4
    assert "\n" not in str(raised.value)
    assert _whole(made.root) == before
    assert "backoff" in (made.root / "install.log").read_text()


def test_other_pins_make_another_and_remove_what_no_server_uses(made: Made) -> None:
    made.pins.write_text(OTHER)
    old = made.root / "0123456789abcdef"
    old.mkdir()
    (old / "hardcut-made").touch()
    (made.root / "of somebody else").mkdir()
    with shared_lock(lease(made.python)):  # as a running server holds it
        other = environment(made.root, NullProgress(), print)
    assert _imports(other, "sniffio") and not _imports(other, "backoff")
    kept = {other.parent.parent, made.python.parent.parent, made.root / "of somebody else"}
    assert _whole(made.root) == kept
    assert not list(made.root.glob(".*.new")), "what the killed start left is gone"


def test_a_python_without_wheels_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PYTHONS", ("3.1",))
    with pytest.raises(MissingDependency, match="needs Python 3"):
        environment(tmp_path, NullProgress(), print)


def test_every_requirement_is_pinned_with_digests_and_said_once() -> None:
    pins = _pins()
    assert all(re.fullmatch(r"==[^,*]+", str(pin.specifier)) for pin in pins), "one exact version each"
    assert len({pin.name for pin in pins}) == len(pins)
    assert "argilla-server==2.8.0" in map(str, pins)
    digests = [line for line in REQUIREMENTS.read_text().splitlines() if "--hash=sha256:" in line]
    assert len(digests) >= len(pins)


def test_what_is_installed_is_what_the_list_says(argilla_python: Path) -> None:
    line = [argilla_python, "-I", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    listed = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    here = {_plain(one) for one in listed}
    everywhere = {_plain(f"{pin.name}{pin.specifier}") for pin in _pins() if pin.marker is None}
    assert len(everywhere) > 50
    assert everywhere <= here
    listed_at_all = {_plain(f"{pin.name}{pin.specifier}") for pin in _pins()}
    assert {one.partition("==")[0] for one in here - listed_at_all} <= {"pip", "setuptools"}


def _pins() -> list[Requirement]:
    """The list without its digests, which pip itself reads and insists on."""
    lines = REQUIREMENTS.read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line[0] not in "# "]


def _plain(requirement: str) -> str:
    name, _, version = requirement.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"
