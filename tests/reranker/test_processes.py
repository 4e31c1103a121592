"""Both stages in two processes, with all weights in each (DDP) and with a part of them (FSDP2): killed, resumed, saved
whole, and loaded by others. On processors, by gloo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import TrainSettings

pytestmark = pytest.mark.torch

LORA, FULL, QLORA = "lora", "full", "qlora"


def _settings(method: str, sharded: bool) -> dict[str, Any]:
    stage = {"frames": 2, "accumulate": 1, "epochs": 2, "learning_rate": 1e-3}
    return {
        "method": method,
        "sharded": sharded,
        "save_steps": 2,
        "lora": {"rank": 2, "dropout": 0.1},
        "perception": {**stage, "batch": 2},
        "ranking": {**stage, "groups": 2},
    }


@pytest.fixture
def both_stages(in_two_processes: Any, tmp_path: Path) -> Any:
    """Trains both stages, `dies` in one of them; the folder of the second."""

    def run(name: str, method: str, sharded: bool, dies: str = "") -> Path:
        case = {"name": name, "settings": _settings(method, sharded), "dies": dies, "whole": False}
        (tmp_path / "case.json").write_text(json.dumps(case))
        in_two_processes("both_stages.py", killed=bool(dies))
        assert {(tmp_path / f"sharded-{rank}").read_text() for rank in (0, 1)} == {str(sharded)}
        return tmp_path / name

    return run


def _weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return dict(load_file(str(file)))


def _apart(one: Path, other: Path) -> float:
    """How far the trained weights lie apart, relative to their length."""
    import torch

    ours, theirs = _weights(one), _weights(other)
    assert list(ours) == list(theirs) and ours
    flat = [torch.cat([of[name].flatten().double() for name in sorted(of)]) for of in (ours, theirs)]
    return float((flat[0] - flat[1]).norm() / flat[0].norm())


def _same(one: Path, other: Path, apart: float = 0.0) -> None:
    for stage in ("first", "second"):
        told = [json.loads((of / stage / "train.json").read_text()) for of in (one, other)]
        assert told[0]["steps"] == told[1]["steps"] == 4 and told[0]["validation"] is not None
        assert _apart(one / stage, other / stage) <= apart
        logs = [[each for each in of["log"] if "train_loss" not in each] for of in told]  # a mean since the start
        assert len(logs[0]) >= 6 and (apart or logs[0] == logs[1])


@pytest.mark.timeout(1800)
def test_adapters_with_weights_in_parts_and_in_each_process(both_stages: Any, blocks: Any, tiny: str) -> None:
    """Killed in either stage it becomes the same model, byte for byte; a copy in each process makes the same model as
    parts; and what is finished is written whole, and loaded by others."""
    from hardcut.reranker.training import TrainJob, train

    parts = both_stages("parts", LORA, True)
    for dies in ("perception", "ranking", ""):
        killed = both_stages("killed", LORA, True, dies)
        assert (killed / "second" / "train.json").exists() is (not dies)
    _same(parts, killed)
    both_stages("copies", LORA, False, "ranking")
    _same(parts, both_stages("copies", LORA, False), 1e-4)
    adapter = _predicted(parts / "second", blocks)
    settings = TrainSettings.model_validate(_settings(LORA, True))
    start = parts / "first"
    train(blocks, TrainJob("ranking", tiny, parts / "second", blocks.clips, settings, start=start, whole=True))
    assert not (parts / "second" / "adapter_config.json").exists()
    assert _predicted(parts / "second", blocks) == pytest.approx(adapter, abs=1e-4)


@pytest.mark.timeout(1800)
def test_all_weights_in_parts(both_stages: Any, blocks: Any, tiny: str) -> None:
    through = both_stages("through", FULL, True)
    both_stages("killed", FULL, True, "perception")
    _same(through, both_stages("killed", FULL, True))
    assert _apart(Path(tiny), through / "second") > 1e-4, "it learned"
    assert len(_predicted(through / "second", blocks)) == 6


@pytest.mark.timeout(1800)
def test_weights_of_four_bits_in_parts(both_stages: Any, blocks: Any, tmp_path: Path) -> None:
    """QLoRA over FSDP2: each process holds a part of the four bits too, and the adapters are those of whole copies."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: `make test-train`")
    parts = both_stages("parts", QLORA, True)
    weights, in_parts = json.loads((tmp_path / "four-bits-0").read_text())
    assert weights == in_parts > 10
    copies = both_stages("copies", QLORA, False)
    assert json.loads((tmp_path / "four-bits-0").read_text()) == [weights, 0]
    _same(parts, copies, 5e-3)  # passes are made in bfloat16: after four steps they lay .001 apart
    assert len(_predicted(parts / "second", blocks)) == 6


def _predicted(folder: Path, world: Any) -> list[float]:
    """What anybody gets who loads the model with sentence-transformers."""
    from sentence_transformers import CrossEncoder

    from hardcut.teacher.local.pair_prompt import read_clip

    model, groups = CrossEncoder(str(folder)), read_ranking(world, "raw").examples[:2]
    pairs = [
        (group.query, read_clip(world.clips.frames(each.video, 2))) for group in groups for each in group.candidates
    ]
    shown = [{"video": {"do_sample_frames": False, "video_metadata": [clip.metadata]}} for _, clip in pairs]
    return [
        float(model.predict([(text, clip.array)], processing_kwargs=how)[0])
        for (text, clip), how in zip(pairs, shown, strict=True)
    ]


def test_a_training_does_not_go_on_in_another_number_of_processes(tmp_path: Path) -> None:
    from hardcut.reranker.resuming import refuse_other_processes

    for rank in (0, 1):
        (tmp_path / f"rng_state_{rank}.pth").touch()
    refuse_other_processes(str(tmp_path), 2)
    refuse_other_processes(None, 1)
    with pytest.raises(UsageError, match="2 processes"):
        refuse_other_processes(str(tmp_path), 1)
    with pytest.raises(UsageError, match="is whole"):
        refuse_other_processes(str(tmp_path), 2, sharded=True)
    (tmp_path / "optimizer_0").mkdir()
    refuse_other_processes(str(tmp_path), 2, sharded=True)
    with pytest.raises(UsageError, match="in parts"):
        refuse_other_processes(str(tmp_path), 2)
