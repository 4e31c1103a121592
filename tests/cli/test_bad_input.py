"""Bad input gets one clear line and a status of the table: 2 wrong use, 4 not reachable."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hardcut.cli.app import main

Hardcut = Callable[..., tuple[int, str, str]]
Told = Callable[[str], list[str]]


@pytest.fixture
def hardcut(capsys: pytest.CaptureFixture[str]) -> Hardcut:
    """Calls the command in this process: (status, stdout, stderr)."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return call


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with two files that are named like videos; nothing here gets as far as opening them."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (folder / name).write_bytes(b"not opened")
    return folder


def _expect(hardcut: Hardcut, status: int, words: list[str], *arguments: str | Path) -> None:
    code, _, err = hardcut(*arguments)
    assert code == status, err
    assert err.count("\n") == 1, f"one line, not:\n{err}"
    for word in words:
        assert word in err


def _run(videos: Path, tmp_path: Path, *more: str | Path) -> list[str | Path]:
    return ["run", videos, "--out", tmp_path / "run", "--cache", tmp_path / "cache", *more]


def test_no_such_folder(hardcut: Hardcut, tmp_path: Path) -> None:
    _expect(hardcut, 2, ["nowhere", "no such folder"], *_run(tmp_path / "nowhere", tmp_path))


def test_a_file_in_place_of_a_folder(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    _expect(hardcut, 2, ["one.mp4", "folder"], *_run(videos / "one.mp4", tmp_path))


def test_an_empty_folder(hardcut: Hardcut, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _expect(hardcut, 2, ["empty", "no video"], *_run(tmp_path / "empty", tmp_path))


def test_a_folder_of_other_things(hardcut: Hardcut, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "readme.txt").write_text("hello")
    _expect(hardcut, 2, ["texts", "no video"], *_run(tmp_path / "texts", tmp_path))


def test_unreadable_settings(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[media\n")
    _expect(hardcut, 2, ["settings.toml", "not TOML"], *_run(videos, tmp_path, "--config", config))


def test_an_unknown_key_with_the_nearest_right_one(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[evidence]\nocrr = 'off'\n")
    _expect(hardcut, 2, ["evidence.ocrr", "'ocr'"], *_run(videos, tmp_path, "--config", config))


def test_two_videos_of_one_id(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    (videos / "one.mkv").write_bytes(b"the same name")
    _expect(hardcut, 2, ["one.mp4", "one.mkv"], *_run(videos, tmp_path))


@pytest.mark.parametrize("path", ["../secret.mp4", "/etc/passwd", "link/secret.mp4"])
def test_a_manifest_line_that_points_outside_its_root(
    hardcut: Hardcut, videos: Path, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"x")
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (videos / "link").symlink_to(outside)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"path": "one.mp4"}) + "\n" + json.dumps({"path": path}) + "\n")
    _expect(hardcut, 2, ["manifest.jsonl", "line 2", "outside"], *_run(videos, tmp_path, "--manifest", manifest))


def test_a_sidecar_that_is_not_json(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    (videos / "one.json").write_text('{"title": "x"\n')
    _expect(hardcut, 2, ["one.json", "JSON"], *_run(videos, tmp_path))


def test_a_sidecar_that_is_far_too_large(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    with (videos / "one.json").open("wb") as file:
        file.truncate(2**40)  # a hole: reading it would need a terabyte of memory
    _expect(hardcut, 2, ["one.json", "not a sidecar"], *_run(videos, tmp_path))


def test_a_file_where_the_run_should_be(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    _expect(hardcut, 4, [str(tmp_path / "run"), "a file stands where a folder should be"], *_run(videos, tmp_path))


def test_settings_that_cannot_be_written(hardcut: Hardcut, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    _expect(hardcut, 4, ["file/own.toml", "choose another folder"], "init", tmp_path / "file" / "own.toml")
    _expect(hardcut, 2, ["file exists"], "init", tmp_path / "file")


def test_an_unknown_teacher(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    _expect(hardcut, 2, ["oracle", "evidence", "openai:"], *_run(videos, tmp_path, "--teacher", "oracle"))


def test_an_unknown_stage(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    _expect(hardcut, 2, ["captoins", "captions"], *_run(videos, tmp_path, "--until", "captoins"))


def test_queries_that_are_none(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.tsv"
    queries.write_text("q1\tfine\nq2 without a tab\n")
    _expect(hardcut, 2, ["queries.tsv", "line 2"], *_run(videos, tmp_path, "--queries", queries))


def test_a_first_stage_that_is_none(hardcut: Hardcut, videos: Path, tmp_path: Path) -> None:
    run = tmp_path / "first.trec"
    run.write_text("q1 Q0 one 1 0.5 tag\nq1 Q0 two 2 high tag\n")
    _expect(hardcut, 2, ["first.trec", "line 2"], *_run(videos, tmp_path, "--first-stage", run))


def test_a_status_of_no_run(hardcut: Hardcut, tmp_path: Path) -> None:
    _expect(hardcut, 2, [str(tmp_path), "no run"], "status", tmp_path)


def test_an_export_of_no_run(hardcut: Hardcut, tmp_path: Path) -> None:
    _expect(hardcut, 2, [str(tmp_path), "no run"], "export", tmp_path, "--out", tmp_path / "out")


def test_a_wrong_flag_and_a_wrong_command(hardcut: Hardcut) -> None:
    _expect(hardcut, 2, ["--colour"], "status", "--colour")
    _expect(hardcut, 2, ["stat"], "stat")


def test_a_teacher_that_is_not_there(hardcut: Hardcut, tmp_path: Path) -> None:
    code, _, err = hardcut("doctor", "--teacher", "openai:m@http://127.0.0.1:9/v1", "--cache", tmp_path / "cache")
    assert (code, err) == (4, "")


def test_a_cache_that_cannot_be_written(hardcut: Hardcut, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    code, out, _ = hardcut("doctor", "--cache", tmp_path / "file" / "cache", "--json")
    assert code == 4
    assert any(check["name"] == "cache" and check["state"] == "missing" for check in json.loads(out)["checks"])


@pytest.mark.parametrize("kilobytes", [4, 300])
def test_no_space_left(
    world: Path, command: list[str], environment: dict[str, str], told: Told, tmp_path: Path, kilobytes: int
) -> None:
    """The system refuses larger files (EFBIG): what a full disk does, at a place that the test can choose."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    line = [*command, *map(str, _run(world / "videos", tmp_path, "--limit", "2"))]
    full = subprocess.run(
        line, env=environment, capture_output=True, text=True, timeout=200, check=False, preexec_fn=limited
    )
    assert full.returncode == 4, full.stdout + full.stderr
    assert len(told(full.stderr)) == 1, f"one line, not:\n{full.stderr}"
    again = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stderr
