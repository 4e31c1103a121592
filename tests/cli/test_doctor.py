"""`hardcut doctor`: what it calls ok was imported and decoded, and what is broken is not called missing."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from hardcut.cli.doctor import doctor
from hardcut.pipeline import doctor as looked_at
from hardcut.pipeline import libraries
from hardcut.schemas.dependencies import DEFAULT_PARTS
from hardcut.schemas.settings import Settings


def test_the_extra_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def without(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(libraries, "version", without)
    assert doctor(None, None, tmp_path / "a [b] cache", as_json=False) == 4
    told = capsys.readouterr().out
    for extra in ("default", "annotate", "train", "transformers", "vllm"):
        assert f'pip install "hardcut[{extra}]"' in told
    assert not any(f"hardcut[{extra}]" in told for extra in DEFAULT_PARTS), "one command brings what the defaults need"
    assert "a [b] cache" in told
    assert "`hardcut review serve` makes it" in told


def test_what_the_settings_need_and_every_judge_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = {library.name for extra in ("eval", "train") for library in libraries.libraries(extra)}

    def version(name: str) -> str:
        if name in there:
            return "99"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(libraries, "version", version)
    monkeypatch.setattr(looked_at, "broken", lambda wanted: "")  # what is only said to be there cannot be imported
    config = tmp_path / "hardcut.toml"
    config.write_text(
        "[evidence]\nocr = 'off'\nshots = false\nmotion = false\nspeech = 'whisper:tiny'\n[duplicates]\nnear = false\n"
        "[queries]\nlanguages = ['de']\n[teacher]\nspec = 'vllm:m'\n"
        "[[scores.teachers]]\nspec = 'openai:m@http://127.0.0.1:9/v1'\n"
    )
    assert doctor(config, None, tmp_path, as_json=True) == 4
    checks = json.loads(capsys.readouterr().out)["checks"]
    states = {check["name"]: check["state"] for check in checks}
    wanted = {"libraries", "extra languages", "extra vllm", "teacher"}
    assert {name for name, state in states.items() if state == "missing"} == wanted
    assert states["extra train"] == states["extra asr"] == "ok" and states["extra vision"] == "warning"
    assert [check["state"] for check in checks if check["name"] == "teacher"] == ["missing", "missing"]


def test_a_broken_library_and_a_decoder_that_fails_are_told_with_their_errors(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Libraries of those names that are found first: one that cannot be imported, one that ends the process, and a
    decoder that can be imported and does not decode."""
    for name, content in {
        "rapidocr": "raise ImportError('libGL.so.1: cannot open shared object file')",
        "bm25s": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "av/__init__": "__version__ = '19.0'",
    }.items():
        path = tmp_path / "first" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    done = subprocess.run(
        [*command, "doctor", "--json", "--cache", str(tmp_path / "cache")],
        env={**environment, "PYTHONPATH": str(tmp_path / "first")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert {name for name, check in checks.items() if check["state"] == "broken"} == {
        "decoder",
        "extra ocr",
        "extra eval",
    }
    assert checks["extra ocr"]["found"].endswith("rapidocr: ImportError: libGL.so.1: cannot open shared object file")
    assert checks["extra eval"]["found"].endswith("bm25s: ended by signal 11")
    assert "No module named 'av." in checks["decoder"]["found"]
    assert "--force-reinstall" in checks["decoder"]["advice"]
    assert checks["extra vision"]["state"] == "ok" and checks["libraries"]["state"] == "ok"


def test_a_version_that_was_not_tried_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "version", lambda name: "17.0.0")
    [wanted] = [library for library in libraries.libraries(None) if library.name == "av"]
    assert (wanted.version, wanted.fits) == ("17.0.0", False)
    assert libraries.unfit([wanted]).startswith("av 17.0.0 is not ")


def test_every_extra_that_doctor_looks_at_brings_something() -> None:
    assert all(libraries.libraries(extra) for extra in looked_at._EXTRAS)
    assert {"3.11", "3.12"} <= set(libraries.pythons())


def test_a_server_is_asked_what_it_can_do_and_held_against_its_roles(
    teacher_server: Any, manners: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "hardcut.toml"

    def told(name: str, settings: str = "") -> dict[str, str]:
        teacher_server.manner = manners[name]
        config.write_text(f"[teacher]\nspec = 'openai:some/model@{teacher_server.url}'\n{settings}")
        doctor(config, None, tmp_path / name, as_json=True)
        [found] = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "teacher"]
        return dict(found)

    good = told("vllm")
    assert good["state"] == "ok" and "JSON Schema; log-probabilities: by token id; takes pictures" in good["found"]
    bad = told("gemini")
    assert bad["state"] == "missing" and "gives no log-probabilities" in bad["advice"]
    assert told("gemini", "[scores]\nwithout_margin = true\n")["state"] == "ok"


def test_scripts_that_are_read_and_those_that_are_not_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for language in ("rus", "tha"):
        (data / f"{language}.traineddata").write_bytes(b"")
    settings = Settings.model_validate({"evidence": {"ocr_data": str(data), "ocr_languages": ["rus"]}})
    check = looked_at._scripts(settings)
    read, _, rest = check.found.partition("; told as unread: ")
    unread, _, unused = rest.partition("; ")
    assert check.state == "ok" and read == "reads Latin, Chinese, Japanese, Cyrillic (rus)"
    assert {"Arabic", "Devanagari", "Greek", "Hangul", "Thai"} <= set(unread.split(", ")) and "Cyrillic" not in unread
    assert unused == "data here and not asked for: tha (evidence.ocr_languages)"
    lacking = Settings.model_validate({"evidence": {"ocr_data": str(data), "ocr_languages": ["kor"]}})
    check = looked_at._scripts(lacking)
    assert check.state == "missing" and "kor.traineddata is not in" in check.advice
    assert looked_at._scripts(Settings.model_validate({"evidence": {"ocr": "off"}})).state == "ok"
