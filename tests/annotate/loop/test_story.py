"""Three people, sixty records, a conflict without a third person, a server that is killed, a video that is replaced:
the dataset says of each label who gave it, and no answer is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest

from hardcut.annotate.embedded.server import Order, connection, running
from hardcut.annotate.sets import RELEVANCE
from hardcut.pipeline.run_export import export_run
from hardcut.publish.dataset import Dataset
from hardcut.schemas.config import format_settings, load_settings
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Dropped, Pair, TeacherLabel, Video

PEOPLE = ("alice", "bob", "carol")
NAMES = {value: name for name, (value, _) in RELEVANCE.items()}
Hardcut = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Answer:
    """What a person says of a record."""

    who: str
    record: dict[str, Any]
    said: int
    flags: tuple[str, ...] = ()


@pytest.fixture
def story(sample: Any, tmp_path: Path) -> Any:
    """The sample with videos of its own, and settings under which sixty records are asked."""
    videos = tmp_path / "videos"
    shutil.copytree(sample.videos, videos)
    config = tmp_path / "story.toml"
    asked = {"review.budget": 150, "review.overlap": 3, "review.audit": 0.7, "review.gold": 0.1}
    config.write_text(format_settings(load_settings(sample.config, asked)))
    mine = replace(sample, videos=videos, config=config)
    mine.again()
    return mine


def test_nothing_is_lost_and_every_label_says_who_gave_it(
    story: Any, argilla_python: Path, tmp_path: Path, hardcut: Hardcut, make_api: Any
) -> None:
    data, run = tmp_path / "argilla", story.run

    def review(command: str, *more: str | Path) -> dict[str, Any]:
        where = {"report": ["--cache", story.cache], "pull": ["--data", data]}
        push = ["--data", data, "--videos", story.videos, "--cache", story.cache]
        code, out, err = hardcut("review", command, run, *where.get(command, push), *more, "--json")
        assert code == 0, (out, err)
        found: dict[str, Any] = json.loads(out)
        return found

    with running(argilla_python, data, Order(port=0, reviewers=PEOPLE)) as server:
        review("push")
        owner = make_api(connection(data))
        records = {name: owner.records(f"{run.name}-{name}") for name in ("blind", "assisted")}
        assert sum(map(len, records.values())) >= 60
        plan = answers_of(records)
        # Killed while they answer: whoever is not told that an answer was taken gives it again, as the page does.
        Timer(1.0, os.kill, (server.pid, signal.SIGKILL)).start()
        taken = give(plan, data, make_api)
        assert 0 < taken < len(plan)
    with running(argilla_python, data, Order(port=0)):
        assert give(plan[taken:], data, make_api) == len(plan) - taken
        flagged = next(each.record["external_id"] for each in plan if each.flags)
        assert review("pull")["new"] == len(plan) == 3 * len(records["blind"]) + len(records["assisted"])
        assert {(each.reviewer, each.pair_id): each.relevance for each in read_records(run / Review.FILE, Review)} == {
            (each.who, each.record["external_id"]): each.said for each in plan
        }

        # All three disagree on one: nobody is left, and that is told. An expert settles it.
        torn = records["blind"][0]["external_id"]
        found = review("report")
        assert found["conflicts"] == found["nobody_left"] == [torn]
        (run / "run.toml").write_text((run / "run.toml").read_text().replace("experts = []", 'experts = ["carol"]'))
        story.config.write_text((run / "run.toml").read_text())
        review("push")
        (conflict,) = make_api(connection(data)).records(f"{run.name}-adjudication")
        make_api(connection(data, user="carol")).answer(conflict, "in_part")
        assert review("pull")["new"] == 1
        assert review("report")["conflicts"] == []

        # A video is replaced: what was said of the old file is kept, and applied to nothing.
        pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
        others = {pairs[pair_id].video_id for pair_id in (torn, flagged)}
        blind = [pairs[record["external_id"]] for record in records["blind"]]
        replaced = next(pair.video_id for pair in blind if pair.video_id not in others)
        before = {each.video_id: each for each in read_records(run / Video.FILE, Video)}
        other = next(each for each in before.values() if each.video_id != replaced)
        shutil.copyfile(story.videos / other.path, story.videos / before[replaced].path)
        story.again()
        assert review("pull")["reviews"] == len(plan) + 1, "nothing is lost"
        assert review("report")["orphans"] > 0

    check(run, plan, torn, flagged, replaced, before[replaced].sha256, tmp_path / "dataset")


def answers_of(records: dict[str, list[dict[str, Any]]]) -> list[Answer]:
    """What they will say: of blind records all three, one of whom errs now and then, and of the first each something
    else; of assisted ones one each, and that the first is unsafe."""
    plan = []
    for at, record in enumerate(records["blind"]):
        truth = 2 if int(digest(record["external_id"])[:4], 16) % 3 == 0 else 0
        said = (2, 0, 1) if at == 0 else (truth, truth, 2 - truth if at % 5 == 0 else truth)
        plan += [Answer(who, record, value) for who, value in zip(PEOPLE, said, strict=True)]
    for at, record in enumerate(records["assisted"]):
        plan.append(Answer(PEOPLE[at % 3], record, (0, 2, 1)[at % 3], ("unsafe",) if at == 0 else ()))
    return plan


def give(plan: list[Answer], data: Path, make_api: Any) -> int:
    """Gives these answers until the server is gone; how many it acknowledged. One that it has already is changed."""
    people = {name: make_api(connection(data, user=name)) for name in PEOPLE}
    for at, each in enumerate(plan):
        try:
            people[each.who].answer(each.record, NAMES[each.said], flags=list(each.flags) or None)
        except httpx.TransportError:
            return at
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 409 and at == 0, "taken and not acknowledged"
    return len(plan)


def known(run: Path) -> set[str]:
    """The pairs that the user's own judgments decide."""
    return {each.pair_id for each in read_records(run / Judgment.FILE, Judgment) if each.source == "imported"}


def check(run: Path, plan: list[Answer], torn: str, flagged: str, replaced: str, old: str, out: Path) -> None:
    """Every label of the dataset against what was said, counted here anew."""
    pairs = {pair.pair_id: pair for pair in read_records(run / Pair.FILE, Pair)}
    said: defaultdict[str, Counter[int]] = defaultdict(Counter)
    why: dict[str, str] = {}
    for each in plan:
        said[each.record["external_id"]][each.said] += 1
        why[each.record["external_id"]] = each.record["metadata"]["stratum"]
    export_run(run, out)
    rows = {row["pair_id"]: row for _, row in Dataset(out).rows("pairs")}
    reasons = {each.item: each.reason for each in read_records(run / Dropped.FILE, Dropped)}
    left_out = {each.item: each.reason for each in read_records(out / "left_out.jsonl", Dropped)}
    labels = {each.pair_id for each in read_records(run / TeacherLabel.FILE, TeacherLabel)}
    decided = Counter[str]()
    for pair_id, row in rows.items():
        source, grade = row["label_source"], row["label"]
        decided[source] += 1
        if source == "teacher":
            assert pair_id in labels and row["teacher"]
            assert pair_id not in said or pairs[pair_id].video_id == replaced, "people outrank teachers"
        elif source == "human":
            value, count = said[pair_id].most_common(1)[0]
            assert grade == value and 2 * count > said[pair_id].total()
            told = row["reviews"]
            assert Counter(each["relevance"] for each in told) == said[pair_id]
            assert all(each["asked"] == why[pair_id] and each["decides"] for each in told)
            assert len({each["reviewer"] for each in told}) == len(told)
        elif source == "adjudicated":
            assert (pair_id, grade) == (torn, 1)
            [settled] = [each for each in row["reviews"] if each["decides"]]
            assert (settled["relevance"], settled["asked"], settled["adjudicates"]) == (1, "conflict", True)
        else:
            assert source == "imported" and pair_id in known(run)
    assert decided["human"] >= 20 and decided["teacher"] > 0
    who = {each["reviewer"] for row in rows.values() for each in row["reviews"]}
    assert who == {"reviewer-1", "reviewer-2", "reviewer-3"}, "and nobody's name"
    for pair_id in said.keys() - rows.keys():
        assert pair_id not in pairs or pair_id in reasons or pair_id in left_out, "none is missing without a reason"
    about_old = [each for each in read_records(run / Review.FILE, Review) if each.video_sha256 == old]
    assert about_old and {each.video_id for each in about_old} == {replaced}, "kept"
    assert reasons[flagged] == "flagged_unsafe" and flagged not in rows
    hidden = (flagged, pairs[flagged].video_id)
    for path in out.rglob("*"):
        assert not path.is_file() or not any(name.encode() in path.read_bytes() for name in hidden), path
