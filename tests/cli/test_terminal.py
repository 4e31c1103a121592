"""What people see: Ctrl-C on a real terminal, text from outside that would steer it, and lines that stay whole."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hardcut.cli.app import main

Process = Callable[..., subprocess.CompletedProcess[str]]
EVIL = "evil\x1b[31m\x1b]0;title\x07[bold]"


def test_ctrl_c_on_a_terminal_says_one_line_leaves_it_sane_and_the_run_goes_on(
    world: Path, command: list[str], environment: dict[str, str], hardcut: Process, tmp_path: Path
) -> None:
    arguments = ["run", world / "videos", "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--until", "probe"]
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"}, start_new_session=True,
    )  # fmt: skip
    shown = _shown(ours, until=b"probe")  # the bar of the first stage
    workers = psutil.Process(process.pid).children(recursive=True)
    os.write(ours, b"\x03")
    assert process.wait(timeout=30) == 130
    shown += _shown(ours, until=None)
    said = shown[shown.rindex(b"^C") :].decode()
    assert said.count("interrupted; start the same command again to go on") == 1
    assert "Traceback" not in said
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l"), "the cursor is shown again"
    assert termios.tcgetattr(theirs) == before
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
    os.close(ours)
    os.close(theirs)
    assert hardcut(*arguments).returncode == 0


def _shown(terminal: int, until: bytes | None) -> bytes:
    """What the terminal shows until it shows `until`, or until it is quiet."""
    shown, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline and (until is None or until not in shown):
        ready, _, _ = select.select([terminal], [], [], 0.5)
        if ready:
            shown += os.read(terminal, 65536)
        elif until is None:
            break
    return shown


def test_a_run_is_watched_to_its_end(
    world: Path, command: list[str], environment: dict[str, str], hardcut: Process, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["run", world / "videos", "--out", run, "--cache", tmp_path / "cache", "--until", "captions"]
    process = subprocess.Popen([*command, *map(str, arguments)], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (run / "ledger.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    seen = hardcut("status", run, "--watch")
    assert process.wait(timeout=60) == 0
    assert seen.returncode == 0 and "captions" in seen.stdout, seen.stderr
    assert seen.stdout.endswith(hardcut("status", run).stdout), "what stands there last is the status"
    assert hardcut("status", tmp_path, "--watch").returncode == 2
    assert "leave out --failed and --json" in hardcut("status", run, "--watch", "--json").stderr


def test_the_line_of_an_error_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", str(tmp_path / EVIL), "--out", str(tmp_path / "run")])
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\x07" not in err
    assert "evil\\x1b[31m\\x1b]0;title\\x07[bold]" in err


def test_a_status_shows_hostile_names_as_they_are_and_breaks_no_line_in_a_pipe(
    world: Path, hardcut: Process, tmp_path: Path
) -> None:
    videos, run = tmp_path / "videos", tmp_path / "a [b] run"
    shutil.copytree(world / "videos", videos)
    (videos / f"{EVIL}.mp4").write_bytes(b"no video")
    (videos / f"{EVIL} and a name that is so long that it fills more than one line of 80 columns.srt").symlink_to("no")
    done = hardcut("run", videos, "--out", run, "--cache", tmp_path / "cache", "--limit", "2", "--until", "probe")
    assert done.returncode == 1, done.stderr
    told = hardcut("status", run, "--failed").stdout
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "title\\x07[bold]" in told
    assert f"report  {run / 'report.html'}\n" in told
    [line] = [line for line in told.splitlines() if "80 columns" in line]
    assert "No such file" in line, "a script that looks for a name finds the reason on its line"


def test_a_reader_that_has_gone_away_is_no_error_to_be_traced(command: list[str], environment: dict[str, str]) -> None:
    """`hardcut schema | true`: the status of a broken pipe, and not a word."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [*command, "schema"], stdout=write, stderr=subprocess.PIPE, env=environment, text=True, timeout=120, check=False
    )
    os.close(write)
    assert ended.returncode in (1, 141) and ended.stderr == ""  # 1: click hears of it first
