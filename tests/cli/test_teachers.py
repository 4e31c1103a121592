"""Prompts, plans, several judges and calibration through the command, over real HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import COUNTERFACTUAL, Query, TeacherLabel

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cache(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the frames of three videos, and a run that has their evidence: reading it anew takes long."""
    folder = tmp_path_factory.mktemp("frames")
    done = hardcut(
        "run", world / "videos", "--limit", "3", "--until", "evidence", "--out", folder / "run", "--cache", folder
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def setup(world: Path, cache: Path, tmp_path: Path, teacher_server: Any) -> Callable[..., list[str | Path]]:
    """Arguments of a run on three videos, with the settings given."""
    mine = tmp_path / "cache"
    mine.mkdir()
    (mine / "frames").symlink_to(cache / "frames")
    shutil.copytree(cache / "run", tmp_path / "run")

    def make(toml: str = "", command: str = "run") -> list[str | Path]:
        config = tmp_path / "hardcut.toml"
        config.write_text(toml.replace("URL", teacher_server.url) + "\n[queries]\nviews = ['caption', 'ocr']\n")
        limit = ["--limit", "3"] if command == "run" else []
        return [command, world / "videos", *limit, "--out", tmp_path / "run", "--cache", mine, "--config", config]

    return make


def asked_of(server: Any, since: int = 0) -> Counter[str]:
    """The requests that a server got, by what they ask for."""
    return Counter(
        body.get("response_format", {}).get("json_schema", {}).get("name", "judge") for body in server.bodies[since:]
    )


def _shows(body: Any) -> bool:
    """Whether a request has pictures: a judge is also asked what metadata alone can tell."""
    return any(part["type"] == "image_url" for part in body["messages"][1]["content"])


OPENAI = '[teacher]\nspec = "openai:judge@URL"\n'


def test_one_changed_word_of_a_prompt_asks_its_stage_and_what_depends_on_it_again(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    assert hardcut(*setup(OPENAI)).returncode == 0
    first = asked_of(teacher_server)
    assert first["caption"] == 3 and first["queries"] >= 3 and first["judge"] > 3
    before = teacher_server.total_asked
    assert hardcut(*setup(OPENAI)).returncode == 0
    assert teacher_server.total_asked == before, "nothing has changed, so nothing is served"

    shipped = resources.files("hardcut.teacher.prompts") / "templates"
    own = tmp_path / "prompts"
    own.mkdir()
    mine = OPENAI + f"prompts = {str(own)!r}\n"
    judge = "judge.system.txt.jinja"
    (own / judge).write_text((shipped / judge).read_text("utf-8").replace("You judge", "You decide"))
    assert hardcut(*setup(mine)).returncode == 0
    assert asked_of(teacher_server, before) == Counter(judge=first["judge"]), "judgments depend on it, nothing else"

    before = teacher_server.total_asked
    (own / judge).unlink()
    caption = "caption.system.txt.jinja"
    (own / caption).write_text((shipped / caption).read_text("utf-8").replace("You describe", "You portray"))
    assert hardcut(*setup(mine)).returncode == 0
    assert asked_of(teacher_server, before) == Counter(caption=3), "captions alone: what they say stayed the same"

    before = teacher_server.total_asked
    (own / caption).write_text((shipped / caption).read_text("utf-8").replace("You describe", "You recount"))
    claim = {"text": "Nothing is known.", "start": None, "end": None, "evidence": []}
    other = json.dumps({"short": "Nothing is known.", "claims": [claim]})
    teacher_server.answer = lambda body: other if "You recount" in body["messages"][0]["content"] else None
    assert hardcut(*setup(mine)).returncode == 0
    again = asked_of(teacher_server, before)
    assert again["caption"] == 3 and again["queries"] >= 3 and again["judge"], "a caption that changed goes further"
    assert max(teacher_server.served.values()) == 1


def test_questions_on_one_video_share_its_prefix(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    """(Q - 1) of Q, by the server's own cache of prefixes."""
    assert hardcut(*setup(OPENAI)).returncode == 0
    judged = [body for body in teacher_server.bodies if "response_format" not in body and _shows(body)]
    videos = {label.video_id for label in read_records(tmp_path / "run" / TeacherLabel.FILE, TeacherLabel)}
    assert len({teacher_server.prefix(body) for body in judged}) == len(videos)
    assert teacher_server.prefix_hits >= len(judged) - len(videos) > 0


def test_several_judges_and_samples_are_all_recorded_and_disagreement_is_left_to_people(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    contrary = '[[scores.teachers]]\nspec = "openai:contrary@URL"\n[scores.teachers.sampling]\ntemperature = 0.7\n'
    steady = '[[scores.teachers]]\nspec = "openai:judge@URL"\n[scores.teachers.sampling]\ntemperature = 0.7\n'
    teacher_server.answer = lambda body: "<answer>yes</answer>" if body["model"] == "contrary" else None
    done = hardcut(*setup(OPENAI + "[scores]\nsamples = 2\n" + contrary + steady))
    assert done.returncode == 0, done.stdout + done.stderr
    labels = list(read_records(tmp_path / "run" / TeacherLabel.FILE, TeacherLabel))
    unwatched = sum(body["model"] == "contrary" and not _shows(body) for body in teacher_server.bodies)
    assert 0 < unwatched <= sum(label.input == "text_only" for label in labels), "the same words are asked once"
    labels = [label for label in labels if label.input == "full"]
    by_pair = Counter(label.pair_id for label in labels)
    assert set(by_pair.values()) == {4}, "two judges, two samples"
    assert {(label.teacher.model, label.sample) for label in labels} == {
        (model, sample) for model in ("contrary", "judge") for sample in (0, 1)
    }
    assert {label.teacher.sampling.seed for label in labels if label.teacher.sampling} == {0, 1}
    summary = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)
    assert {row["reason"] for row in summary["dropped"]} >= {"teachers_disagree"}
    spent = {(row["stage"], row["teacher"].partition("@")[0]): row["calls"] for row in summary["spend"]}
    assert spent["scores", "openai:contrary"] - unwatched == spent["scores", "openai:judge"] == 2 * len(by_pair)
    assert spent["captions", "openai:judge"] == 7, "a caption and its check for each video, and one small question"


def test_samples_of_a_cold_teacher_are_refused(setup: Callable[..., list[str | Path]], hardcut: Process) -> None:
    done = hardcut(*setup(OPENAI + "[scores]\nsamples = 3\n"))
    assert done.returncode == 2 and "temperature" in done.stderr and done.stderr.count("\n") == 1


def test_a_plan_is_what_the_run_then_asks(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    priced = OPENAI + "[teacher.price]\nprompt = 1.0\ncompletion = 4.0\n"
    arguments = setup(priced)
    done = hardcut(*arguments, "--until", "negatives")
    assert done.returncode == 0, done.stderr
    before = teacher_server.total_asked
    planned = hardcut(*setup(priced, "plan"), "--json")
    assert planned.returncode == 0, planned.stderr
    assert teacher_server.total_asked == before, "a plan sends nothing"
    stages = {line["stage"]: line for line in json.loads(planned.stdout)["stages"]}
    assert (stages["captions"]["known"], stages["captions"]["cached"]) == (6, 6), "a caption and its check"
    assert stages["counterfactuals"]["known"] == stages["counterfactuals"]["cached"] > 3
    counterfactuals = [
        query for query in read_records(tmp_path / "run" / Query.FILE, Query) if query.variant in COUNTERFACTUAL
    ]
    assert stages["scores"]["cached"] == len(counterfactuals) > 0, "verified before, so they cost nothing now"
    assert stages["scores"]["known"] > 3 + len(counterfactuals)
    low, high = stages["scores"]["price"]
    assert 0 < low <= high
    assert hardcut(*arguments).returncode == 0
    assert teacher_server.total_asked - before == stages["scores"]["known"] - len(counterfactuals)
    again = {line["stage"]: line for line in json.loads(hardcut(*setup(priced, "plan"), "--json").stdout)["stages"]}
    assert again["scores"]["cached"] == again["scores"]["known"] == stages["scores"]["known"]
    told = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["spend"]
    money = {row["stage"]: row["money"] for row in told}
    calls = {row["stage"]: row["calls"] for row in told}
    for stage in ("captions", "queries", "scores"):  # 100 + 10 tokens a call, at 1 and 4 for a million
        assert money[stage] == pytest.approx(calls[stage] * (100 * 1.0 + 10 * 4.0) / 1e6)
    shown = hardcut("status", tmp_path / "run").stdout
    assert f"{sum(money.values()):.2f} in all, at the prices of the run's settings" in shown
    assert again["scores"]["estimated"] > 0, "three videos of the folder are not part of the run yet"


def test_a_plan_counts_what_judges_are_asked_without_pictures_and_a_users_own_queries(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path, world: Path
) -> None:
    """Before anything is known a plan says the most that can be asked. Exactly: of each query that may be written."""

    def planned(toml: str) -> dict[str, Any]:
        arguments = setup(OPENAI + toml, "plan")
        arguments[arguments.index("--out") + 1] = tmp_path / "none"
        done = hardcut(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return {line["stage"]: line for line in json.loads(done.stdout)["stages"]}["scores"]

    videos = len(list((world / "videos").rglob("*.mp4")))
    told = len(list((world / "videos").rglob("*.json")))
    blind, all_ = planned("[evidence]\nmetadata_fields = []\n"), planned("")
    assert told and blind["between"][0] == all_["between"][0] == 0
    assert blind["between"][1] < all_["between"][1] and blind["estimated"] < all_["estimated"]
    assert all_["frames"] == blind["frames"] > 0, "what is asked without watching has none"
    assert all_["prompt_tokens"] > blind["prompt_tokens"]
    own = tmp_path / "own.tsv"
    own.write_text("q1\ta train at noon\nq2\ta grand hotel\n")
    with_own = planned(f"[inputs]\nqueries = '{own}'\n")
    assert with_own["estimated"] - all_["estimated"] == 2 * min(10, videos)
    assert with_own["between"] == [0, all_["between"][1] + 2 * min(10, videos)]


def test_prompt_show_prints_what_is_sent(
    setup: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    arguments = setup(OPENAI)
    assert hardcut(*arguments).returncode == 0
    run, cache = arguments[arguments.index("--out") + 1], arguments[arguments.index("--cache") + 1]
    video = min(label.video_id for label in read_records(tmp_path / "run" / TeacherLabel.FILE, TeacherLabel))
    for name in ("caption", "check", "queries", "counterfactual", "judge"):
        shown = hardcut("prompt", "show", name, "--video", video, "--run", run, "--cache", cache, "--json")
        assert shown.returncode == 0, shown.stderr
        for request in json.loads(shown.stdout)["requests"]:
            system, user = request["messages"]
            texts = [part["text"] for part in user["content"] if part["type"] == "text"]
            sent = [
                body for body in teacher_server.bodies
                if body["messages"][0]["content"] == system["content"][0]["text"]
                and [part["text"] for part in body["messages"][1]["content"] if part["type"] == "text"] == texts
            ]  # fmt: skip
            assert len(sent) == 1, "word for word what the server got, once"
            assert sum(part["type"] == "image" for part in user["content"]) == sum(
                part["type"] == "image_url" for part in sent[0]["messages"][1]["content"]
            )
    text = hardcut("prompt", "show", "caption", "--video", video, "--run", run, "--cache", cache)
    assert "--- system" in text.stdout and "sha256" in text.stdout
    wrong = hardcut("prompt", "show", "caption", "--video", "nothing", "--run", run, "--cache", cache)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1


def test_calibrate_fits_what_people_said_and_leaves_margins_alone(
    setup: Callable[..., list[str | Path]], hardcut: Process, tmp_path: Path
) -> None:
    arguments = setup()
    assert hardcut(*arguments).returncode == 0
    run = tmp_path / "run"
    nobody = hardcut("calibrate", run)
    assert nobody.returncode == 2 and "judged by people" in nobody.stderr
    labels = [label for label in read_records(run / TeacherLabel.FILE, TeacherLabel) if label.input == "full"]
    before = (run / TeacherLabel.FILE).read_bytes()
    judged = [
        Judgment(
            pair_id=label.pair_id, query_id=label.query_id, video_id=label.video_id,
            grade=int((label.verdict == "yes") != (number % 5 == 0)), source="human",
        )
        for number, label in enumerate(labels)
    ]  # fmt: skip
    copy = tmp_path / "judged"
    shutil.copytree(run, copy)
    (copy / "ledger.sqlite").unlink()  # it would restore the file that is written here
    (copy / Judgment.FILE).write_text(
        "".join(each.model_dump_json() + "\n" for each in sorted(judged, key=lambda each: each.id))
    )
    done = hardcut("calibrate", copy, "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads((copy / "calibration.json").read_text())
    (teacher,) = written["teachers"]
    assert teacher["overall"]["raw"]["pairs"] == len(labels)
    assert set(teacher["overall"]) == {"raw", "temperature", "isotonic"} and teacher["by_kind"]
    assert (copy / "calibration.svg").read_text().startswith("<svg")
    assert (copy / TeacherLabel.FILE).read_bytes() == before
    assert "AUC" in hardcut("calibrate", copy).stdout
    assert json.loads(done.stdout)["mixed"] is None, "of a server nobody knows how it showed them"
    every = list(read_records(run / TeacherLabel.FILE, TeacherLabel))
    ways = ("aaaa (transformers 5.9.0)", "bbbb (transformers 5.24.0)")
    mixed = [label.model_copy(update={"shown": ways[number % 2]}) for number, label in enumerate(every)]
    (copy / TeacherLabel.FILE).write_text("".join(each.model_dump_json() + "\n" for each in mixed))
    told = hardcut("calibrate", copy).stdout
    assert "made in different ways" in told and all(way in told for way in ways)
