"""Presets of settings: each loads, says what it is for, and does what its comments say."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from hardcut.cli.app import app, main
from hardcut.data.bundled import preset, preset_names
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.registry import open_teacher

ROOT = Path(__file__).resolve().parents[2]


def test_there_are_four_and_examples_shows_them() -> None:
    assert preset_names() == ["many-machines", "one-gpu", "rankvideo", "small-try"]
    for name in preset_names():
        assert (ROOT / "examples" / "settings" / f"{name}.toml").read_text(encoding="utf-8") == preset(name)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_loads_and_says_what_it_is_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "settings" / f"{name}.toml"
    path.parent.mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["init", str(path), "--preset", name])
    assert ended.value.code == 0
    settings = load_settings(path)
    assert settings != Settings()
    for each in settings.asked:
        assert open_teacher(each, settings.resources), each.spec
    lines = preset(name).splitlines()
    assert lines[0].startswith(f"# {name}: ") and lines[0].endswith(".")
    for line in filter(re.compile(r"#\s+hardcut ").match, lines):
        command, *words = shlex.split(line.removeprefix("#"))[1:]
        typer.main.get_command(app).commands[command].make_context(command, words)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_names_what_differs_and_nothing_else(name: str) -> None:
    def same(table: dict[str, object], default: object) -> list[str]:
        found = []
        for key, value in table.items():
            ours = getattr(default, key)
            if isinstance(value, dict) and isinstance(ours, dict):  # by a name of the preset's own
                found += [f"teacher.{inner}" for each in value.values() for inner in same(each, TeacherSettings())]
            elif isinstance(value, dict):
                found += [f"{key}.{inner}" for inner in same(value, ours)]
            elif value == ours:
                found.append(key)
        return found

    table = tomllib.loads(preset(name))
    told = {"teacher.spec", "train.method", "teacher.sampling.max_frames", "train.ranking.frames"}
    assert set(same(table, Settings())) <= told, "only what the comments speak of is named at its default"


def test_the_server_of_one_gpu_allows_the_pictures_that_are_sent() -> None:
    sampling = Settings.model_validate(tomllib.loads(preset("one-gpu"))).teacher.sampling
    allowed = re.search(r'"image": (\d+)', preset("one-gpu"))
    assert allowed and int(allowed[1]) == sampling.max_frames + sampling.max_reference_frames


def test_a_name_that_there_is_not_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'one-gpu'"):
        preset("one_gpu")
