"""Settings: TOML in and out, and one clear line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardcut.schemas.config import format_settings, load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings


def test_defaults_survive_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(format_settings(Settings()), encoding="utf-8")
    assert load_settings(path) == Settings()


def test_flags_lie_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[teacher]\nspec = "openai:m@http://127.0.0.1:1/v1"\n[media]\nfps = 2\n', encoding="utf-8")
    settings = load_settings(path, {"teacher.spec": "evidence", "media.max_frames": 8, "budget.calls": None})
    assert (settings.teacher.spec, settings.media.fps, settings.media.max_frames) == ("evidence", 2, 8)
    assert settings.budget.calls is None


def test_overrides_lie_over_a_record_too_and_are_checked_the_same() -> None:
    settings = load_settings(Settings.model_validate({"media": {"fps": 2}}), {"media.max_frames": 8})
    assert (settings.media.fps, settings.media.max_frames) == (2, 8)
    with pytest.raises(UsageError, match="did you mean 'max_words'"):
        load_settings(Settings(), {"captions.max_wrods": 80})
    with pytest.raises(UsageError, match="media is given as 3, which has no parts"):
        load_settings(None, {"media": 3, "media.fps": 2})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[media]\nfsp = 2\n", ["media.fsp", "'fps'"]),
        ("[medai]\nfps = 2\n", ["medai", "'media'"]),
        ("[media]\nfps = 'many'\n", ["media.fps", "many"]),
        ("[media]\nfps = 0\n", ["media.fps", "greater than 0"]),
        ("[teacher.sampling]\ntemprature = 1\n", ["teacher.sampling.temprature", "'temperature'"]),
        ("[export]\ntrain = 0.9\nvalidation = 0.2\n", ["export", "more than 1"]),
        ("[media\n", ["not TOML", "line 1"]),
        ("[zzzzzz]\n", ["zzzzzz", "there are: inputs, sources, media"]),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_right_key(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_settings(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such settings file"):
        load_settings(tmp_path / "none.toml")
