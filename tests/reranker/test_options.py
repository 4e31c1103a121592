"""Settings of training that change no step, or end it early: workers, trackers, patience, layers of adapters."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.training import LoraSettings, TrainSettings

pytestmark = pytest.mark.torch
STAGE = {"frames": 2, "accumulate": 1, "learning_rate": 1e-2}


def _settings(**more: Any) -> TrainSettings:
    given = {"ranking": {**STAGE, "groups": 4, "epochs": 1}, "perception": {**STAGE, "batch": 4}, **more}
    return TrainSettings.model_validate({"lora": {"rank": 2, "dropout": 0.0}, "save_steps": 1, **given})


def _trained(world: Any, tiny: str, out: Path, settings: TrainSettings, stage: Any = "ranking") -> Any:
    from hardcut.reranker.training import TrainJob, train

    return train(world, TrainJob(stage, tiny, out, world.clips, settings))


def _losses(told: Any) -> list[float]:
    return [entry["loss"] for entry in told.log if "loss" in entry]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", ["perception", "ranking"])
def test_workers_change_no_step_and_tell_of_videos_that_break(
    stage: str, blocks: Any, tiny: str, tmp_path: Path
) -> None:
    alone = _trained(blocks, tiny, tmp_path / "alone", _settings(), stage)
    helped = _trained(blocks, tiny, tmp_path / "helped", _settings(workers=2), stage)
    assert _losses(helped) == _losses(alone) and helped.digest == alone.digest
    store = tmp_path / "frames"
    shutil.copytree(blocks.clips.store, store)
    clips = replace(blocks.clips, store=store)
    videos = {row["video_id"]: row["sha256"] for split, row in blocks.rows("captions") if split == "train"}
    broken = sorted(videos)[0]
    told = None

    def break_it(*_: Any, **__: Any) -> None:
        for path in store.rglob(f"*{videos[broken]}*/**/*.jpg"):
            path.write_bytes(b"no picture")

    from hardcut.reranker import training

    job = training.TrainJob(stage, tiny, tmp_path / "broken", clips, _settings(workers=2))  # type: ignore[arg-type]
    opened = training._trainer

    def breaking(*given: Any) -> Any:
        break_it()  # after what is missing was looked for
        return opened(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_trainer", breaking)
        told = training.train(replace(blocks, clips=clips), job)
    assert told.left_out.get("unreadable_video") == 1
    (line,) = (tmp_path / "broken" / "unreadable.jsonl").read_text().splitlines()
    assert json.loads(line)["item"] == broken


@pytest.mark.timeout(600)
def test_training_ends_where_it_gets_no_better(world: Any, tiny: str, tmp_path: Path) -> None:
    """At a learning rate of next to nothing no measurement is better than the first."""
    stage = {**STAGE, "groups": 2, "epochs": 4, "learning_rate": 1e-12}
    told = _trained(world, tiny, tmp_path / "out", _settings(ranking=stage, patience=2))
    assert told.steps == 3, "the first is the best, two more were no better"
    assert _trained(world, tiny, tmp_path / "all", _settings(ranking=stage)).steps == 16


@pytest.mark.timeout(600)
def test_the_rate_falls_where_it_gets_no_better_also_after_an_interruption(
    world: Any, tiny: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """The first measurement is the best. After two more the rate falls to a third, and five end the training: in one
    go, or killed between and started again."""
    from hardcut.reranker.trainers import StageTrainer

    stage = {**STAGE, "groups": 2, "epochs": 4, "learning_rate": 1e-12}
    settings = _settings(ranking=stage, patience=5, schedule="plateau")
    whole = _trained(world, tiny, tmp_path / "whole", settings)
    rates = [entry["learning_rate"] for entry in whole.log if "loss" in entry]
    assert rates == pytest.approx([1e-12] * 2 + [1e-12, 1e-12 / 3, 1e-12 / 3, 1e-12 / 9], rel=1e-6)
    real, steps = StageTrainer.training_step, []

    def dies(self: Any, *given: Any, **named: Any) -> Any:
        if len(steps) == 4:
            raise KeyboardInterrupt
        steps.append(1)
        return real(self, *given, **named)

    monkeypatch.setattr(StageTrainer, "training_step", dies)
    with pytest.raises(KeyboardInterrupt):
        _trained(world, tiny, tmp_path / "parts", settings)
    monkeypatch.setattr(StageTrainer, "training_step", real)
    resumed = _trained(world, tiny, tmp_path / "parts", settings)
    assert resumed.steps == whole.steps == 6, "what was measured before the interruption counts"
    assert [entry["learning_rate"] for entry in resumed.log if "loss" in entry] == rates


@pytest.mark.parametrize(
    ("measured", "greater", "since"),
    [([0.1], True, 0), ([0.1, 0.3, 0.3, 0.2], True, 2), ([0.9, 0.5, 0.7], False, 1), ([0.5, 0.4, 0.6], True, 0)],
)
def test_measurements_are_counted_from_the_first_best_one(measured: list[float], greater: bool, since: int) -> None:
    from hardcut.reranker.trainers import since_best

    assert since_best(measured, greater) == since


def test_a_schedule_by_measurements_wants_patience() -> None:
    with pytest.raises(ValueError, match="set patience to 2 or more"):
        _settings(schedule="plateau", patience=1)


def test_a_schedule_by_measurements_wants_something_to_measure_on(world: Any, tiny: str, tmp_path: Path) -> None:
    tables = {name: [row for row in rows if row[0] == "train"] for name, rows in world.tables.items()}
    with pytest.raises(UsageError, match="needs a split `validation`"):
        _trained(replace(world, tables=tables), tiny, tmp_path / "out", _settings(schedule="plateau", patience=2))


@pytest.mark.timeout(600)
def test_layers_of_adapters_and_attention_are_chosen_freely(world: Any, tiny: str, tmp_path: Path) -> None:
    from safetensors import safe_open

    lora = LoraSettings(rank=2, targets=("q_proj", "v_proj"))
    _trained(world, tiny, tmp_path / "out", _settings(lora=lora, attention="eager"))
    with safe_open(str(tmp_path / "out" / "adapter_model.safetensors"), "pt") as file:
        layers = {name.split(".lora_")[0].rpartition(".")[2] for name in file.keys()}  # noqa: SIM118
    assert layers == {"q_proj", "v_proj"}
    pattern = _settings(lora=LoraSettings(rank=2, targets=r".*visual.*\.qkv"))
    assert _trained(world, tiny, tmp_path / "vision", pattern).trainable > 0
    with pytest.raises(UsageError, match=r"train\.lora\.targets"):
        _trained(world, tiny, tmp_path / "none", _settings(lora=LoraSettings(targets=("no_such_layer",))))
    with pytest.raises(UsageError, match="cannot be loaded"):
        _trained(world, tiny, tmp_path / "flash", _settings(attention="no_such_attention"))


@pytest.mark.timeout(600)
def test_trackers_are_told_by_the_librarys_own_switch(world: Any, tiny: str, tmp_path: Path) -> None:
    from importlib.util import find_spec

    if find_spec("wandb") is None:
        with pytest.raises((MissingDependency, UsageError), match="wandb"):
            _trained(world, tiny, tmp_path / "out", _settings(trackers=("wandb",)))
    with pytest.raises(UsageError, match="nobody"):
        _trained(world, tiny, tmp_path / "other", _settings(trackers=("nobody",)))


def test_a_plan_counts_steps_hours_and_money(tiny: str) -> None:
    from hardcut.reranker.estimate import course, estimate
    from hardcut.schemas.settings import MediaSettings

    settings = TrainSettings()
    told = estimate("Qwen/Qwen3-VL-8B-Instruct", "ranking", settings, MediaSettings(), negatives=2)
    one, eight = (course(told, settings, 9_267, "h100", cards, 2.5) for cards in (1, 8))
    assert one.steps == 2318 and eight.steps == 290, "2 epochs of groups in steps of 8, on each card"
    assert one.hours == pytest.approx(2318 * told.seconds_a_step / 3600) and eight.hours < one.hours / 7.9
    assert one.money == pytest.approx(2.5 * one.hours) and eight.money == pytest.approx(8 * 2.5 * eight.hours)
    assert course(told, settings, 9_267, "a100", 1, None).hours > 3 * one.hours
    full = settings.model_copy(update={"method": "full"})
    whole = estimate("Qwen/Qwen3-VL-8B-Instruct", "ranking", full, MediaSettings(), negatives=2)
    parted = full.model_copy(update={"sharded": True})
    assert not course(whole, full, 100, "h100", 8, None).fits and course(whole, parted, 100, "h100", 8, None).fits
    with pytest.raises(UsageError, match="no card"):
        course(told, settings, 10, "abacus", 1, None)
