"""What other distributions register is found; what does not fit is named, with whose it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.schemas.extensions import _registered, extended

GROUP = "hardcut.exporters"
Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one module and entry points: a folder on the path, as pip would leave it."""
    _registered.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, points: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
        sys.modules.pop(name, None)

    yield make
    _registered.cache_clear()


def test_theirs_stand_beside_ours(install: Install) -> None:
    install("theirs_a", "jsonl = theirs_a:write", "def write(dataset, folder): return {'a.jsonl': 1}")
    found = extended({"trec": len}, GROUP)
    assert list(found) == ["trec", "jsonl"] and found["jsonl"](None, None) == {"a.jsonl": 1}  # type: ignore[arg-type]


def test_a_name_of_ours_is_not_taken(install: Install) -> None:
    install("theirs_b", "trec = theirs_b:write", "def write(): ...")
    with pytest.raises(UsageError, match=r"'trec' of hardcut.exporters bears a name of Hardcut's own"):
        extended({"trec": len}, GROUP)


def test_what_cannot_be_imported_names_its_distribution(install: Install) -> None:
    install("theirs_c", "broken = theirs_c:write", "import no_such_library")
    with pytest.raises(UsageError, match=r"'broken' .* from theirs_c, cannot be imported .*no_such_library"):
        extended({}, GROUP)


def test_two_of_one_name_are_told(install: Install) -> None:
    install("theirs_d", "same = theirs_d:write", "def write(): ...")
    install("theirs_e", "same = theirs_e:write", "def write(): ...")
    with pytest.raises(UsageError, match="registered twice"):
        extended({}, GROUP)
