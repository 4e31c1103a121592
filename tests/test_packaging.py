"""What is installed: ranges, locks and the Python that is taken agree with one another, and locks name no registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hardcut.annotate.embedded import environment as embedded
from hardcut.schemas.dependencies import DEFAULT_PARTS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
LOCK, EMBEDDED = ROOT / "requirements" / "default.txt", embedded.REQUIREMENTS
PYTHONS = ("3.11", "3.12", "3.13")
FIND = ROOT / "tests" / "tools" / "find_python.sh"


def _pins(lock: Path, python: str, platform: str) -> dict[str, str]:
    """The version of each package that a lock gives to a Python, one at most."""
    found: dict[str, str] = {}
    machine = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": platform}
    for line in re.findall(r"^(\S+==.*?)(?: \\)?$", lock.read_text(encoding="utf-8"), re.MULTILINE):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(machine):
            assert wanted.name not in found, f"{wanted.name} twice for Python {python}"
            found[wanted.name] = str(wanted.specifier).removeprefix("==")
    return found


def _direct(extra: str | None) -> list[Requirement]:
    """What is asked for by name, extras that bring other extras opened."""
    texts = PROJECT["project"]["dependencies"] if extra is None else EXTRAS[extra]
    wanted = [Requirement(text) for text in texts]
    return [each for one in wanted for each in ([one] if one.name != "hardcut" else _all(one.extras))]


def _all(extras: set[str]) -> list[Requirement]:
    return [each for extra in sorted(extras) for each in _direct(extra)]


def test_default_brings_what_the_defaults_need_and_its_former_name_still_works() -> None:
    assert EXTRAS["default"] == [f"hardcut[{','.join(('ocr', 'vision', 'eval', 'publish'))}]"]
    assert Requirement(EXTRAS["default"][0]).extras == DEFAULT_PARTS
    assert EXTRAS["demo"] == ["hardcut[default]"]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_every_direct_dependency_in_its_range(python: str, platform: str) -> None:
    pins = _pins(LOCK, python, platform)
    building = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    for wanted in [*_direct(None), *_direct("default"), *building]:
        pinned = pins.get(canonicalize_name(wanted.name))
        assert pinned, f"{wanted.name} is not in {LOCK.name}: make locks"
        assert wanted.specifier.contains(pinned, prereleases=True), (
            f"{wanted.name} {pinned} is not {wanted}: make locks"
        )


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_of_the_embedded_argilla_has_its_server_and_not_what_is_left_out(python: str) -> None:
    pins = _pins(EMBEDDED, python, "linux")
    [server] = re.findall(r"^[^#].*", (ROOT / "requirements" / "argilla.in").read_text("utf-8"), re.MULTILINE)
    assert f"argilla-server=={pins['argilla-server']}" == server
    without = re.findall(
        r"^([a-z]+) ;", (ROOT / "requirements" / "argilla-without.txt").read_text("utf-8"), re.MULTILINE
    )
    assert len(without) == 2 and not set(without) & set(pins)
    assert python in embedded._PYTHONS


@pytest.mark.parametrize("lock", [LOCK, EMBEDDED], ids=["default", "embedded"])
def test_a_lock_has_digests_and_names_no_registry(lock: Path) -> None:
    content = lock.read_text(encoding="utf-8")
    for pin in re.split(r"^(?=\S+==)", content, flags=re.MULTILINE)[1:]:
        name, *digests = pin.replace("\\\n", " ").split("--hash=")
        assert digests, f"{name} has no digest"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in digests), name
    assert "://" not in content and "index" not in content.replace("make locks", "")


def test_the_make_targets_install_out_of_the_lock() -> None:
    told = subprocess.run(
        ["make", "-n", "-B", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=_path(os.environ["PATH"]),
    ).stdout
    assert "--require-hashes --only-binary :all: -r requirements/default.txt" in told
    assert "--no-deps --no-build-isolation -e ." in told


def test_the_pythons_are_the_same_everywhere() -> None:
    [default] = re.findall(r"set -- (.*)$", FIND.read_text(encoding="utf-8"), re.MULTILINE)
    named = [text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if "Python :: 3." in text]
    assert tuple(named) == PYTHONS == tuple(reversed(default.split())) == tuple(reversed(embedded._PYTHONS))


def _path(path: str | Path) -> dict[str, str]:
    return {**os.environ, "PATH": str(path)}


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with one Python that works, behind a shim for a newer one that does not, and no pyenv."""
    mine = ".".join(map(str, sys.version_info[:2]))
    first, second, tools = (tmp_path / name for name in ("first", "second", "tools"))
    for folder in (first, second, tools):
        folder.mkdir()
    for tool in ("sh", "sed"):
        (tools / tool).symlink_to(next(found for p in os.defpath.split(":") if (found := Path(p) / tool).exists()))
    for version in PYTHONS:
        (first / f"python{version}").write_text("#!/bin/sh\necho no such command >&2\nexit 127\n")
        (first / f"python{version}").chmod(0o755)
    (second / f"python{mine}").symlink_to(Path(sys.base_prefix) / "bin" / f"python{mine}")
    return {"PATH": f"{first}:{second}:{tools}", "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path / "pyenv")}


def test_a_shim_that_cannot_run_is_passed_over(machine: dict[str, str], tmp_path: Path) -> None:
    mine = ".".join(map(str, sys.version_info[:2]))
    done = subprocess.run(["sh", FIND], env=machine, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "second" / f"python{mine}") and not done.stderr


def test_a_python_of_pyenv_is_found_where_pyenv_keeps_it(machine: dict[str, str], tmp_path: Path) -> None:
    mine = ".".join(map(str, sys.version_info[:2]))
    kept = tmp_path / "pyenv" / "versions" / f"{mine}.7" / "bin"
    kept.mkdir(parents=True)
    (tmp_path / "second" / f"python{mine}").rename(kept / f"python{mine}")
    done = subprocess.run(["sh", FIND], env=machine, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(kept / f"python{mine}")


def test_without_a_python_one_line_says_what_to_install(machine: dict[str, str]) -> None:
    done = subprocess.run(["sh", FIND, "3.14", "3.15"], env=machine, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1 and "no Python 3.14 or 3.15" in done.stderr and "make PYTHON=" in done.stderr
