"""A run whose every question is answered by batch files: written, answered elsewhere, read, and nothing asked again."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hardcut
from hardcut.pipeline.batches import file_name, read_batch, write_batch
from hardcut.pipeline.cache import cache_folder
from hardcut.schemas.errors import StorageError, UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.triplets import Triplet
from hardcut.teacher.server.batch_files import BatchFiles, read_results


def provide(files: list[Path], url: str, out: Path, failing: bool = False) -> list[Path]:
    """Answers batch files as a provider does: in another order, errors in a file of their own."""
    answers, errors = [], []
    for path in files:
        for line in reversed(path.read_text("utf-8").splitlines()):
            asked = json.loads(line)
            assert set(asked) == {"custom_id", "method", "url", "body"} and asked["url"] == "/v1/chat/completions"
            if failing:
                failing = False
                body = {"error": {"message": "expired"}}
                errors.append({"custom_id": asked["custom_id"], "response": None, "error": body["error"]})
                continue
            call = urllib.request.Request(
                f"{url}/chat/completions", json.dumps(asked["body"]).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(call, timeout=30) as reply:
                response = {"status_code": 200, "body": json.load(reply)}
            answers.append({"id": "x", "custom_id": asked["custom_id"], "response": response, "error": None})
    for name, lines in (("output", answers), ("error", errors)):
        (out / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return [out / "output.jsonl", out / "error.jsonl"]


async def test_a_run_is_answered_by_files_and_asks_nothing_itself(
    teacher_server: Any, place: Path, tmp_path: Path
) -> None:
    teacher_server.models = ("m",)
    settings = Settings.model_validate(
        {
            "teacher": {"spec": f"openai:m@{teacher_server.url}", "sampling": {"max_frames": 2}},
            "triplets": {"nuances": ["temporal", "negation", "composed", "facet"]},
            "negatives": {"per_query": 2}, "evidence": {"ocr": "off", "motion": False},
        }
    )  # fmt: skip
    run, cache = tmp_path / "run", tmp_path / "cache"
    written: list[dict[str, int]] = []

    def go_on(until: str | None = None) -> Any:
        return hardcut.run(place / "videos", run, settings=settings, cache=cache, until=until)

    go_on("evidence")
    kept = cache_folder(cache)
    for stage, until in {
        "captions": "captions",
        "queries": "queries",
        "counterfactuals": "counterfactuals",
        "triplets": "negatives",
        "scores": None,
    }.items():
        for number in range(9):
            found = await write_batch(run, None, kept, tmp_path / f"{stage}{number}", stage)
            if not found.questions:
                break
            failing = (stage, number) == ("captions", 0)
            told = await read_batch(run, None, kept, provide(list(found.files), teacher_server.url, tmp_path, failing))
            assert told.kept == found.questions[stage] - failing and not told.refused and not told.foreign
            assert told.failed == ({'status None: {"message": "expired"}': 1} if failing else {})
            if failing:
                (tmp_path / "output.jsonl").rename(tmp_path / "first.jsonl")
                late = (tmp_path / "error.jsonl").rename(tmp_path / "late.jsonl")
            else:
                again = await read_batch(run, None, kept, [tmp_path / "output.jsonl", late])
                assert again.kept == 0, "each is kept once"
                assert not again.failed or (stage, number) != ("captions", 1), "asked again, answered in another file"
            written.append(found.questions)
        before = teacher_server.total_asked
        done = go_on(until)
        assert teacher_server.total_asked == before, f"the answers to {stage} are there"
    assert done.status().finished
    assert {stage for each in written for stage in each} >= {"captions", "queries", "counterfactuals", "triplets"}
    assert len(list(done.labels())) > 0 and len(list(done.records(Triplet))) > 0
    spent = sum(each.calls for each in done.status().spend)
    assert spent == sum(count for each in written for count in each.values()) - 1, "booked, but for the one that failed"
    assert (await write_batch(run, None, kept, tmp_path / "none", None)).questions == {}


def test_teachers_that_differ_in_their_sampling_alone_have_files_of_their_own() -> None:
    teachers = [TeacherSettings(spec=f"openai:{model}@http://one/v1") for model in ("org/m", "org/m", "org_m", "other")]
    names: list[str] = []
    for teacher in teachers:
        names.append(file_name("scores", teacher, names))
    assert names == ["scores-org_m", "scores-org_m.2", "scores-org_m.3", "scores-other"]


def test_a_file_holds_what_a_provider_takes(tmp_path: Path) -> None:
    with BatchFiles(tmp_path, "scores-m", most_lines=3, most_bytes=40) as files:
        for line in [b"0123456789\n"] * 4 + [b"0" * 30 + b"\n"] * 2:
            files.add(line)
    assert [path.stat().st_size for path in files.written] == [33, 11, 31, 31]
    assert [path.name for path in files.written][-1] == "scores-m-004.jsonl"
    with BatchFiles(tmp_path, "scores-m") as files, pytest.raises(UsageError, match="is there already"):
        files.add(b"x")


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_disk_that_takes_no_files_ends_it_with_one_line(
    small_disk: Callable[..., Path], fill: Callable[..., None], state: str
) -> None:
    disk = small_disk()
    (disk / "out").mkdir()
    fill(disk, 0, state == "read-only")
    with pytest.raises(StorageError, match="cannot write it"), BatchFiles(disk / "out", "scores-m") as files:
        for _ in range(64):
            files.add(b"0" * 1023 + b"\n")
    assert list((disk / "out").iterdir()) == [], "whole or not at all"


def test_what_is_no_result_is_told_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text('{"custom_id": "a", "response": {"status_code": 429, "body": {}}}\nno JSON\n')
    lines = read_results([tmp_path / "asked.jsonl"])
    assert next(lines) == ("a", None, "status 429: {}")
    with pytest.raises(UsageError, match=r"asked\.jsonl, line 2: is no line of a batch's results"):
        next(lines)
    with pytest.raises(UsageError, match="No such file"):
        next(read_results([tmp_path / "none.jsonl"]))
