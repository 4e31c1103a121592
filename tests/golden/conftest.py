"""Golden results: what every stage and every backend makes of fixed inputs, kept with its version.

`HARDCUT_GOLDENS=renew python -m pytest tests/golden` writes those whose version was counted up, and new ones. A result
that changed under its old version is not written: a run would go on with what the old code made. (`force` writes all:
for changed inputs, or where a result only got another form.)
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
HOW = os.environ.get("HARDCUT_GOLDENS", "")

Hold = Callable[..., None]


def differences(golden: Any, found: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Where the two differ; numbers may by `tolerance`, as a share of the larger or, near 0, by itself."""
    if isinstance(golden, dict) and isinstance(found, dict):
        for key in sorted(golden.keys() | found.keys()):
            at = f"{where}/{key}"
            if key not in golden or key not in found:
                yield f"{at} {'is new' if key in found else 'is gone'}"
            else:
                yield from differences(golden[key], found[key], tolerance, at)
    elif isinstance(golden, list) and isinstance(found, list) and len(golden) == len(found):
        for at, (one, other) in enumerate(zip(golden, found, strict=True)):
            yield from differences(one, other, tolerance, f"{where}/{at}")
    elif isinstance(golden, float | int) and isinstance(found, float | int) and type(golden) is not bool:
        if abs(golden - found) > tolerance * max(1.0, abs(golden), abs(found)):
            yield f"{where}: {golden} became {found}"
    elif golden != found:
        yield f"{where}: {str(golden)[:80]} became {str(found)[:80]}"


@pytest.fixture(scope="session")
def hold() -> Hold:
    """Holds a result against the golden one: `hold("stages/captions", stage.version, result)`. `tolerance` is for
    numbers that depend on a machine; `libraries` are versions that are part of the key, under others nothing can be
    said; `tape` is kept beside the result and not compared."""

    def check(
        name: str,
        version: int | str,
        found: Any,
        *,
        tolerance: float = 1e-6,
        libraries: Any = None,
        tape: Any = None,
    ) -> None:
        path = HERE / "results" / f"{name}.json"
        found = json.loads(json.dumps(found))
        golden = json.loads(path.read_text()) if path.exists() else None
        told = list(differences(golden["result"], found, tolerance)) if golden else []
        same_version = golden is not None and golden["version"] == version
        if HOW == "force" or (HOW == "renew" and not (told and same_version)):
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"version": version, "result": found, "libraries": libraries, "tape": tape}
            kept = {key: value for key, value in kept.items() if value is not None}
            path.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
            return
        if golden and golden.get("libraries") != libraries:
            pytest.skip(
                f"made with {golden.get('libraries')}, here are {libraries}: another key, so another result may be"
            )
        shown = "".join(f"\n  {line}" for line in told[:12]) + (f"\n  and {len(told) - 12} more" if told[12:] else "")
        if golden is None:
            pytest.fail(f"{name} has no golden result: write it with `make goldens`")
        if told and same_version:
            pytest.fail(f"{name}: its result changed and its version is still {version}: count it up{shown}")
        if not same_version:
            pytest.fail(f"{name} is of version {version}, its golden result of {golden['version']}: `make goldens`")

    return check


@pytest.fixture(scope="session")
def kept_tape() -> Callable[[str], dict[str, Any]]:
    """The tape that is kept beside a golden result, empty where there is none."""

    def read(name: str) -> dict[str, Any]:
        path = HERE / "results" / f"{name}.json"
        tape: dict[str, Any] = json.loads(path.read_text()).get("tape", {}) if path.exists() else {}
        return tape

    return read


@pytest.fixture(scope="session")
def recording() -> bool:
    """Whether a question that is not on a tape is put to the `evidence` teacher and taped."""
    return HOW in ("renew", "force")


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixed inputs: `records/` of a run over nine clips of the sample, `frames/` of two of them, one of the
    `clips/`."""
    folder = tmp_path_factory.mktemp("inputs")
    with tarfile.open(HERE / "inputs.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder
