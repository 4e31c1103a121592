"""Vectors on disk: whole shards, only what is wanted, readable by others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardcut.engine.vectors import VectorFolder, VectorWriter, shards, unit, write_note
from hardcut.schemas.errors import UsageError

pq = pytest.importorskip("pyarrow.parquet")


def put(folder: Path, wanted: dict[str, str], count: int = 3) -> VectorWriter:
    writer = VectorWriter(folder, "videos", wanted)
    missing = [id for id in sorted(wanted) if id not in writer.known]
    for at in range(0, len(missing), count):
        ids = missing[at : at + count]
        numbers = [[1.0, float(id[1:]), float(len(wanted[id]))] for id in ids]
        writer.add(ids, [wanted[id] for id in ids], unit(numbers))
    return writer


def test_what_is_written_is_read(tmp_path: Path) -> None:
    put(tmp_path, {f"v{number}": "c" for number in range(8)})
    found = VectorFolder(tmp_path)
    assert found.kinds == ("videos",) and found.count("videos") == 8 and len(shards(tmp_path, "videos")) == 3
    assert found.ids("videos") == [f"v{number}" for number in range(8)]
    assert np.allclose(found.matrix("videos")[3], np.array([1, 3, 1]) / np.sqrt(11))
    assert [len(block) for block in found.blocks("videos", rows=2)] == [2, 1, 2, 1, 2]
    row = pq.read_table(shards(tmp_path, "videos")[0]).to_pylist()[2]  # as any other reader sees it
    assert row["id"] == "v2" and np.allclose(np.frombuffer(row["vector"], "<f4"), found.matrix("videos")[2])


def test_only_what_changed_is_made_again(tmp_path: Path) -> None:
    put(tmp_path, {f"v{number}": "c" for number in range(6)})
    before = VectorFolder(tmp_path).digest("videos")
    assert put(tmp_path, {f"v{number}": "c" for number in range(6)})._next == 2  # nothing was written
    assert VectorFolder(tmp_path).digest("videos") == before
    put(tmp_path, {"v0": "c", "v2": "other", "v5": "c", "v7": "c"})
    found = VectorFolder(tmp_path)
    assert sorted(found.ids("videos")) == ["v0", "v2", "v5", "v7"] and found.digest("videos") != before
    at = found.ids("videos").index("v2")
    assert np.allclose(found.matrix("videos")[at], unit([[1.0, 2.0, 5.0]])[0])


def test_a_folder_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no vectors"):
        VectorFolder(tmp_path).note  # noqa: B018
    write_note(tmp_path, {"complete": False})
    with pytest.raises(UsageError, match="interrupted"):
        VectorFolder(tmp_path).note  # noqa: B018
    (tmp_path / "vectors.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        VectorFolder(tmp_path).note  # noqa: B018


def test_damage_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"v1": "c"})
    shards(tmp_path, "videos")[0].write_bytes(b"PAR1 cut off")
    with pytest.raises(UsageError, match="videos-00000"):
        VectorFolder(tmp_path).ids("videos")
    with pytest.raises(UsageError, match="videos-00000"):
        list(VectorFolder(tmp_path).blocks("videos"))


@pytest.mark.parametrize("wrong", [[[0.0, 0.0]], [[1.0, float("nan")]], [[float("inf"), 1.0]]])
def test_a_vector_without_a_direction_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="zero or not finite"):
        unit(wrong)
