"""Two videos of a query, compared by people on a real server: what they agree on undoes labels that contradict it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.annotate.embedded.server import EmbeddedServer
from hardcut.annotate.records import read_run
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.forget import forget
from hardcut.pipeline.run_export import export_run
from hardcut.publish.dataset import Dataset
from hardcut.report.statistics.agreement import share_interval
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.config import format_settings, load_settings
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Dropped, TeacherLabel, Video
from tests.annotate.loop.browsing import aside, sign_in

Review_ = Callable[..., dict[str, Any]]
ASKED = {
    "review.budget": 12,
    "review.overlap": 1,
    "review.audit": 0.3,
    "review.gold": 0.1,
    "review.near_margin": 1000.0,
    "review.pairwise": 12,
}


@pytest.fixture
def compared(sample: Any) -> Any:
    """The sample, with six couples to compare."""
    config = sample.run / "run.toml"
    config.write_text(format_settings(load_settings(config, ASKED)))
    return sample


@pytest.fixture
def review(compared: Any, served: Path, hardcut: Callable[..., tuple[int, str, str]]) -> Review_:
    def call(command: str, *more: str | Path) -> dict[str, Any]:
        where: list[str | Path] = ["--data", served] if command in ("push", "pull") else []
        where += ["--videos", compared.videos, "--cache", compared.cache] if command == "push" else []
        where += ["--cache", compared.cache] if command == "report" else []
        code, out, err = hardcut("review", command, compared.run, *where, *more, "--json")
        assert code == 0, (out, err)
        found: dict[str, Any] = json.loads(out)
        return found

    return call


def sides_of(record: dict[str, Any]) -> dict[str, str]:
    """The pair on each side of a record."""
    told = json.loads(record["metadata"]["asked"])
    return {side: told[side]["pair_id"] for side in ("left", "right")}


def compare(person: Any, record: dict[str, Any], better: str) -> Any:
    body = {"status": "submitted", "values": {"better": {"value": better}}}
    return person.call("POST", f"records/{record['id']}/responses", json=body)


def test_what_two_people_agree_on_undoes_labels_that_contradict_it(
    compared: Any, review: Review_, people: Any, tmp_path: Path
) -> None:
    run = compared.run
    assert review("plan")["couples"] == 6
    pushed = {each["set"]: each for each in review("push")["sets"]}
    assert (pushed["pairwise"]["pushed"], pushed["pairwise"]["without_preview"]) == (6, {})
    records = people["owner"].records(f"{run.name}-pairwise")
    for record in records:
        page = json.loads(record["fields"]["page"]["page"])
        assert page.keys() == {"query", "language", "reference", "sides"} and not record["suggestions"]
        assert all(each["clip"] and each["sheet"] for each in page["sides"])
    margins = {each.pair_id: each.logit_margin or 0.0 for each in read_records(run / TeacherLabel.FILE, TeacherLabel)}
    grades = {
        each.pair_id: each.grade for each in read_records(run / Judgment.FILE, Judgment) if each.source == "teacher"
    }
    rest = list(records)

    def first(side: str) -> str:
        return "right" if side == "left" else "left"

    # one that the teacher takes for a yes beside a no: both people say the opposite
    target = next(r for r in rest if {grades.get(id, -1) > 0 for id in sides_of(r).values()} == {True, False}
                  and all(id in grades for id in sides_of(r).values()))  # fmt: skip
    rest.remove(target)
    pairs = sides_of(target)
    no = next(side for side, id in pairs.items() if grades[id] == 0)
    for name in ("alice", "bob"):
        compare(people[name], target, no)
    # three as the teacher says, one on which they differ, and one with a single answer
    for record in rest[:3]:
        higher = max(("left", "right"), key=lambda side: margins[sides_of(record)[side]])
        for name in ("bob", "carol"):
            compare(people[name], record, higher)
    compare(people["alice"], rest[3], "left")
    compare(people["carol"], rest[3], "right")
    single = compare(people["carol"], rest[4], "neither")

    pulled = review("pull")
    assert (pulled["comparisons"], pulled["reviews"], pulled["new"]) == (11, 0, 11)
    given = [*read_records(run / Comparison.FILE, Comparison)]
    assert {each.record_id for each in given} == {record["id"] for record in records}
    assert {each.reviewer for each in given} == {"alice", "bob", "carol"} and all(each.given_at for each in given)
    reasons = {each.item: each.reason for each in read_records(run / Dropped.FILE, Dropped)}
    undone = {id for id, reason in reasons.items() if reason == "contradicts_people"}
    assert undone == set(pairs.values())
    found = review("report")["compared"]
    assert (found["answers"], found["couples"], found["agreed"]) == (11, 6, 4)
    follow = found["margins_follow"]
    assert (follow["count"], follow["of"]) == (3, 4) and follow["interval"] == pytest.approx(share_interval(3, 4))
    assert "compared two videos" in (run / "report.html").read_text()

    # Nothing more is compared; the two are asked in the usual set, and a person's answer decides there.
    again = {each["set"]: each for each in review("push")["sets"]}
    assert (again["pairwise"]["pushed"], again["pairwise"]["answered"], again["pairwise"]["removed"]) == (0, 6, 0)
    usual = [r for name in ("blind", "assisted") for r in people["owner"].records(f"{run.name}-{name}")]
    asked = {r["external_id"]: r for r in usual if r["external_id"] in undone}
    why = {pair_id: record["metadata"]["stratum"] for pair_id, record in asked.items()}
    assert asked.keys() == undone and "compared" in why.values()
    assert set(why.values()) <= {"compared", "audit"}, "or drawn by chance before"
    for pair_id, record in asked.items():
        people["alice"].answer(record, "answers" if pair_id == pairs[no] else "does_not")
    review("pull")
    now = {each.pair_id: each for each in read_records(run / Judgment.FILE, Judgment)}
    assert {(now[id].source, now[id].grade) for id in undone} == {("human", 2), ("human", 0)}
    export_run(run, tmp_path / "dataset")
    rows = {row["pair_id"]: row for _, row in Dataset(tmp_path / "dataset").rows("pairs")}
    assert {id: rows[id]["reviews"][0]["asked"] for id in undone if id in rows} == {
        id: why[id] for id in undone if id in rows
    }
    assert "People compared two videos 11 times" in (tmp_path / "dataset" / "README.md").read_text()

    # An answer that was taken back is gone; one about a file that was replaced is kept and not applied.
    people["carol"].call("DELETE", f"responses/{single['id']}")
    assert (withdrawn := review("pull"))["withdrawn"] == 1 and withdrawn["comparisons"] == 10
    given = [*read_records(run / Comparison.FILE, Comparison)]
    [some] = {each.left for each in given if each.left.pair_id == sides_of(rest[0])["left"]}
    other = some.model_copy(update={"video_sha256": "0" * 64})
    seen = [
        Comparison.create(**{**dict(each), "left": other}) if each.left == some else each
        for each in given
    ]  # fmt: skip
    with (run / Comparison.FILE).open("w") as file:
        write_records(file, sorted(seen, key=lambda each: each.id))
    records_now = read_run(run)
    assert [word for word, _ in records_now.orphans()] == ["replaced_video"] * 2
    assert len(records_now.compared()) == 8

    # What is forgotten is in no comparison.
    contents = {each.video_id: each.sha256 for each in read_records(run / Video.FILE, Video)}
    copies = [id for id, sha256 in contents.items() if sha256 == contents[some.video_id]]
    assert forget(run, copies, Cache(tmp_path / "cache")).lines >= 2
    assert not any(
        side.video_id in copies for each in read_records(run / Comparison.FILE, Comparison) for side in each.sides
    )


def test_off_by_default(sample: Any, people: Any, served: Path, hardcut: Any) -> None:
    where = ["--data", served, "--videos", sample.videos, "--cache", sample.cache]
    code, out, _ = hardcut("review", "push", sample.run, *where, "--json")
    assert code == 0 and {each["set"] for each in json.loads(out)["sets"]} == {"blind", "assisted", "adjudication"}


def test_two_videos_by_keyboard(
    browser: Any, server: tuple[Path, EmbeddedServer], sample: Any, hardcut: Callable[..., tuple[int, str, str]]
) -> None:
    data, started = server
    config = sample.run.parent / "pairwise.toml"
    config.write_text(format_settings(load_settings(sample.run / "run.toml", {**ASKED, "review.pairwise": 4})))
    where = ["--data", data, "--videos", sample.videos, "--cache", sample.cache, "--config", config]
    assert aside(hardcut, "review", "push", sample.run, *where) == 0
    page = sign_in(browser, started, data, f"{sample.run.name}-pairwise")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    frame = page.frame_locator("iframe").locator("#hc")
    frame.locator("video").nth(1).wait_for()

    def until(condition: str) -> None:
        clips = "[...(document.querySelector('iframe')?.contentDocument?.querySelectorAll('video') || [])]"
        page.wait_for_function(f"() => {{ const [l, r] = {clips}; return l && r && ({condition}); }}")

    # The left one plays to its end, and then the right one.
    until("!l.paused && l.currentTime > 0")
    until("l.ended && !r.paused && r.currentTime > 0")
    page.keyboard.press("p")
    until("r.paused")
    page.keyboard.press("o")
    until("!l.paused && r.paused")
    page.keyboard.press("+")
    until("l.playbackRate === 1.25 && r.playbackRate === 1.25")
    page.keyboard.press("m")
    until("l.currentTime < 1")
    assert "pairwise" in frame.locator(".left").inner_text()
    for width, height in ((1920, 1080), (390, 844), (1366, 768)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        page.screenshot(path=sample.run.parent / f"pairwise-{width}.png")
        for side in (0, 1):
            box = frame.locator("video").nth(side).bounding_box()
            assert box is not None and box["width"] > 100 and box["x"] >= 0 and box["x"] + box["width"] <= width
    # Two keys a record.
    page.keyboard.press("2")
    page.wait_for_function("() => document.querySelector('form input:checked')?.id === 'better_right'")
    page.keyboard.press("Enter")
    page.get_by_text("2 of 2", exact=True).wait_for()
    frame.locator("video").nth(1).wait_for()
    page.keyboard.press("4")
    page.wait_for_function("() => document.querySelector('form input:checked')?.id === 'better_neither'")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    page.close()
    assert errors == []
    assert aside(hardcut, "review", "pull", sample.run, "--data", data) == 0
    given = [*read_records(sample.run / Comparison.FILE, Comparison)]
    assert {each.better for each in given} == {"right", "neither"} and {each.reviewer for each in given} == {"bob"}
