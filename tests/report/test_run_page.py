"""The report shows what is in a run, escapes all of it, stays small, and refers to nothing outside of itself."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardcut.engine.ledger import Ledger
from hardcut.engine.run_files import RunFiles
from hardcut.engine.status import FailedUnit, RunStatus, SlowUnit, Spend, StageStatus
from hardcut.publish.difficulty import Difficulty, difficulty
from hardcut.report.pair_page import pair_page
from hardcut.report.plots.margins import histogram, place, time_ticks
from hardcut.report.run_data import KINDS, LISTED, PER_KIND, Example, MarginCounts, choose_examples, read_report_data
from hardcut.report.run_page import MAX_SHEET_BYTES, Sheets, render, write_report
from hardcut.schemas.base import Record
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.errors import RecordError, StorageError, UsageError
from hardcut.schemas.guards import FILTERS
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import (
    Caption,
    Claim,
    Dropped,
    Evidence,
    Facet,
    FirstStage,
    Pair,
    Query,
    Span,
    TeacherLabel,
    TeacherRef,
    Video,
)
from hardcut.schemas.settings import Settings
from hardcut.schemas.text.times import clock_time

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(2)>{{ 7*7 }}{% raw %}**b** `c`"
    " \u202e\x07&lt;"
)
VOID = ("meta", "img", "br")
SETTINGS = Settings()
EXAMPLES = PER_KIND * len(KINDS)


def measure(example: Example) -> Difficulty:
    """What the command measures by."""
    rows = [
        {
            "label": candidate.judgment.grade,
            "first_stage": [found.model_dump() for found in candidate.pair.first_stage],
            "logit_margin": candidate.label.logit_margin if candidate.label else None,
            "text_only": candidate.text_only.verdict if candidate.text_only else None,
        }
        for candidate in example.candidates
        if candidate.judgment is not None
    ]
    return difficulty(rows, [facet.model_dump() for facet in example.query.facets])


EMPTY = RunStatus((), (), (), 0, ())


def write(run: Path, sheets: Sheets, status: RunStatus, out: Path) -> None:
    """The page of a run with a status of the test's own; `write_report` reads the ledger's."""
    out.write_text(render(run, sheets, status, SETTINGS, measure), encoding="utf-8")


class Page(HTMLParser):
    """What a browser would make of the page: its elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def video(video_id: str, **fields: Any) -> Video:
    given = {"path": f"{video_id}.mp4", "sha256": digest(video_id), "complete": True, "duration_s": 20}
    return Video(
        video_id=video_id, size_bytes=1, fps=25, width=64, height=36, codec="h264", video_streams=1,
        has_audio=False, **{**given, **fields},
    )  # fmt: skip


def write_run(folder: Path, records: Iterable[Record]) -> Path:
    folder.mkdir()
    everything = list(records)
    for kind in RECORDS:
        with (folder / kind.FILE).open("w", encoding="utf-8") as file:
            write_records(file, sorted((r for r in everything if isinstance(r, kind)), key=lambda record: record.id))
    return folder


def hostile_run(folder: Path) -> tuple[Path, RunStatus]:
    """Hostile text in every field that holds free text."""
    teacher = TeacherRef(backend=HOSTILE, model=HOSTILE)
    whole = Span(start=1, end=2)
    source = video(HOSTILE, path=HOSTILE, complete=False, missing=(HOSTILE,), metadata={HOSTILE: HOSTILE})
    twin = video(HOSTILE + "2", sha256=source.sha256)
    query = Query.create(
        text=HOSTILE, language=HOSTILE, view="caption", kind="composed", teacher=teacher, reference_video_id=HOSTILE,
        source_video_id=source.video_id, facets=(Facet(text=HOSTILE, modality="ocr", span=whole),),
    )  # fmt: skip
    records: list[Record] = [source, twin, query]
    records.append(Caption.create(video_id=HOSTILE, text=HOSTILE, claims=(Claim(text=HOSTILE),), teacher=teacher))
    records.append(Evidence.create(video_id=HOSTILE, kind="ocr", text=HOSTILE, span=whole, extractor=HOSTILE))
    for candidate, verdict in ((source, "yes"), (twin, "unparsed")):
        pair = Pair.create(
            query_id=query.query_id, video_id=candidate.video_id, origins=("source",), expected="yes",
            first_stage=(FirstStage(run=HOSTILE, rank=1, score=1),),
        )  # fmt: skip
        label = TeacherLabel.create(
            pair_id=pair.pair_id, query_id=query.query_id, video_id=pair.video_id, verdict=verdict, reasoning=HOSTILE,
            logit_margin=2.0 if verdict == "yes" else None, teacher=teacher,
        )  # fmt: skip
        records += [pair, label]
        if verdict == "yes":
            records.append(
                Judgment(pair_id=pair.pair_id, query_id=query.query_id, video_id=pair.video_id, grade=1, source="human")
            )
        else:
            records.append(Dropped.create(item=pair.pair_id, stage="judgments", reason=HOSTILE, detail=HOSTILE))
    records.append(Dropped.create(item=HOSTILE, stage=HOSTILE, reason=HOSTILE, detail=HOSTILE))
    status = RunStatus(
        stages=(
            StageStatus(HOSTILE, False, 4, 1, 1, 1, 1, records={HOSTILE: 3}),
            StageStatus("judgments", True, 2, 1, 1, 0, 0, records={"Judgment": 1}),
        ),
        failed=(FailedUnit(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        failed_more=0,
        slowest=(SlowUnit(HOSTILE, HOSTILE, 3.5),),
        spend=(Spend(HOSTILE, HOSTILE, 3, 10, 20),),
    )
    return write_run(folder, records), status


def jpeg() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 18), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_nothing_in_a_run_gets_out_of_its_text(tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)<"
    run, status = hostile_run(folder)
    write(run, lambda _: jpeg(), status, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.open
    allowed = {
        "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "h3", "div", "b", "span", "nav",
        "ul", "li", "a", "main", "section", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "line", "text",
        "g", "br", "article", "img", "details", "summary", "pre", "code", "footer",
    }  # fmt: skip
    assert set(page.elements) <= allowed
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    sources = [value for _, name, value in page.attributes if name in ("src", "srcset", "data", "action", "xlink:href")]
    assert sources and all(value.startswith("data:image/jpeg;base64,") for value in sources)
    assert base64.b64decode(sources[0].split(",")[1]) == jpeg()
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    styles = [value for _, name, value in page.attributes if name == "style"]
    assert not re.search(r"url\(|@import|https?:", "".join(re.findall(r"<style>.*?</style>", html, re.S) + styles))
    assert page.text.count("<script>alert(1)</script>") >= 15
    assert "{{ 7*7 }}" in page.text and "49" not in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", html)


def test_the_page_of_a_pair_shows_all_that_is_known_of_it_and_trusts_none(tmp_path: Path) -> None:
    files = RunFiles(hostile_run(tmp_path / "run")[0])
    for pair in files.read(Pair):
        shown = pair_page(files, pair.pair_id, lambda _: jpeg())
        page = Page(shown.html)
        assert not page.open and "script" not in page.elements
        assert not [name for _, name, _ in page.attributes if name.startswith("on")]
        sources = [value for _, name, value in page.attributes if name == "src"]
        assert sources and all(value.startswith("data:image/jpeg;base64,") for value in sources)
        said = {line.text for line in files.read(Evidence)} if pair.video_id == HOSTILE else set()
        assert all(text.replace("\u202e", "\ufffd").replace("\x07", "\ufffd") in page.text for text in said)
        assert "{{ 7*7 }}" in page.text and not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", shown.html)
        assert ("Grade 1" in page.text) is (pair.video_id == HOSTILE)
        frame = shown._repr_html_()
        inner = Page(frame)
        assert inner.elements == ["iframe"] and ("iframe", "sandbox", "") in inner.attributes
        [inside] = [value for _, name, value in inner.attributes if name == "srcdoc"]
        assert inside == shown.html, "the whole page is inside the frame, and nothing of it outside"
    with pytest.raises(UsageError, match="no pair 'p_none'"):
        pair_page(files, "p_none", lambda _: None)
    with pytest.raises(StorageError, match="nowhere"):
        shown.save(tmp_path / "nowhere" / "page.html")


def test_the_page_forbids_what_it_does_not_need(tmp_path: Path) -> None:
    write(write_run(tmp_path / "run", []), lambda _: None, EMPTY, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and value.startswith("default-src"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_a_run_that_was_stopped_early_has_a_report(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write(run, lambda _: None, EMPTY, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    for expected in ("No stage has run yet", "The run has no queries yet", "No margins yet", "Nothing failed"):
        assert expected in text


def test_a_damaged_file_of_the_run_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    (run / "queries.jsonl").write_text('{"query_id": 3}\n')
    with pytest.raises(RecordError, match=r"queries\.jsonl, line 1"):
        write(run, lambda _: None, EMPTY, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    with Ledger(run):  # a run that has just begun
        pass
    with pytest.raises(StorageError, match=r"report\.html"):
        write_report(run, lambda _: None, SETTINGS, measure, tmp_path / "none" / "report.html")


def large_run(folder: Path) -> Path:
    """300 videos of which every second is damaged or doubled, a query each with 20 candidates and long texts."""
    teacher = TeacherRef(backend="openai", model="m")
    videos = [
        video(f"v{i:03}", sha256=digest(i // 4), complete=i % 2 == 0, missing=("much " * 200,) if i % 2 else ())
        for i in range(300)
    ]
    records: list[Record] = list(videos)
    for i, one in enumerate(videos):
        kind = KINDS[i % len(KINDS)]
        facets = tuple(Facet(text=f"{k} " * 300, modality="visual", span=Span(start=k, end=k + 1)) for k in range(15))
        query = Query.create(text=f"{i} " * 400, view="caption", kind=kind, source_video_id=one.video_id, facets=facets)
        records.append(query)
        for step in range(20):
            other = videos[(i + 3 * step) % 300]
            pair = Pair.create(query_id=query.query_id, video_id=other.video_id, origins=("mined",), expected="no")
            records.append(pair)
            records.append(
                TeacherLabel.create(
                    pair_id=pair.pair_id, query_id=query.query_id, video_id=other.video_id, verdict="no",
                    logit_margin=-0.5 * step, teacher=teacher, reasoning="because " * 100,
                )
            )  # fmt: skip
        for step in range(30):
            line = Evidence.create(video_id=one.video_id, kind="ocr", text=f"{step} " * 500, extractor="x")
            records.append(line)
    return write_run(folder, records)


def test_a_large_run_makes_a_small_page_and_the_same_one_each_time(tmp_path: Path) -> None:
    run = large_run(tmp_path / "run")
    failed = tuple(FailedUnit("scores", f"v{i}", "timeout", "x " * 5000, "raw " * 50_000) for i in range(200))
    status = RunStatus((StageStatus("scores", False, 300, 100, 0, 200, 0),), (), failed, 0, ())
    sheet = jpeg()
    asked: list[str] = []

    def sheets(video: Video) -> bytes:
        asked.append(video.video_id)
        return sheet if len(asked) % 2 else sheet + bytes(MAX_SHEET_BYTES)

    first, second = tmp_path / "a.html", tmp_path / "b.html"
    write(run, sheets, status, first)
    assert len(asked) == EXAMPLES and first.stat().st_size < 1_000_000
    write(run, sheets, status, second)
    assert first.read_bytes() == second.read_bytes()
    text = " ".join(Page(first.read_text(encoding="utf-8")).text.split())
    assert f"and {200 - LISTED} more failed items" in text
    assert f"and {150 - LISTED} more damaged videos" in text
    assert f"and {75 - LISTED} more groups" in text
    assert "50 of 300 queries" in text and "6,000 teacher labels" in text and "more characters)" in text


def test_every_kind_has_five_examples_that_say_why_they_are_hard(tmp_path: Path) -> None:
    teacher = TeacherRef(backend="openai", model="m")
    videos = [video(f"v{i:02}") for i in range(60)]
    records: list[Record] = [*videos, Dropped.create(item="q_9", stage="negatives", reason="leak", detail="x")]
    for i, one in enumerate(videos):
        facets = tuple(
            Facet(text=f"f{k}", modality=m, span=Span(start=k, end=k + 1)) for k, m in ((1, "ocr"), (3, "speech"))
        )
        query = Query.create(
            text=f"query {i}", view="caption", kind=KINDS[i % len(KINDS)], source_video_id=one.video_id, facets=facets,
            reference_video_id=videos[(i + 7) % 60].video_id if KINDS[i % len(KINDS)] == "composed" else None,
            length="short", style="keywords",
        )  # fmt: skip
        turned = Query.create(
            text=f"turned {i}", view="caption", kind=query.kind, source_video_id=one.video_id, variant="reversed",
            parent_query_id=query.query_id,
        )  # fmt: skip
        records += [query, turned]
        for asked, other, origin, grade, margin in (
            (query, one, "source", 1, 5.0),
            (query, videos[(i + 1) % 60], "mined", 0, 3.5),
            (query, videos[(i + 2) % 60], "mined", 0, -9.0),
            (turned, one, "counterfactual", 0, -4.0),
        ):
            rank = {"source": 7, "mined": 2, "counterfactual": 1}[origin]
            pair = Pair.create(
                query_id=asked.query_id, video_id=other.video_id, origins=(origin,), expected="yes" if grade else "no",
                first_stage=(FirstStage(run="bm25", rank=rank, score=1.0),),
            )  # fmt: skip
            fields = {"pair_id": pair.pair_id, "query_id": asked.query_id, "video_id": other.video_id}
            records += [pair, Judgment(**fields, grade=grade, source="teacher")]
            verdict = "yes" if margin > 0 else "no"
            records.append(TeacherLabel.create(**fields, verdict=verdict, logit_margin=margin, teacher=teacher))
            blind = {**fields, "verdict": "no", "logit_margin": -1.0, "teacher": teacher, "input": "text_only"}
            records.append(TeacherLabel.create(**blind))
    run = write_run(tmp_path / "run", records)
    found = read_report_data(run)
    assert Counter(example.query.kind for example in found.examples) == dict.fromkeys(KINDS, PER_KIND)
    assert len({example.query.source_video_id for example in found.examples}) == EXAMPLES
    assert all(example.query.variant == "original" and len(example.counterfactuals) == 1 for example in found.examples)
    assert found.margins.counts["counterfactual", "no"].total() == 60 == found.margins.counts["source", "yes"].total()
    write(run, lambda _: jpeg(), EMPTY, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    for sentence, times in (
        ("The first stage puts its video at place 7: its words alone do not find it.", EXAMPLES),
        ("(mined), lies 1.5 below it.", EXAMPLES),
        ("Metadata alone does not solve it: one has to watch.", EXAMPLES),
        ("It takes 2 modalities and 2 moments to answer it.", EXAMPLES),
        ("Turned so that this video does not answer it", EXAMPLES),
    ):
        assert text.count(sentence) == times, sentence
    assert page.elements.count("img") == EXAMPLES + PER_KIND, "a composed query's reference is shown too"
    for example in (each for each in found.examples if each.query.kind == "composed"):
        assert example.reference and example.reference.video_id == example.query.reference_video_id
        assert f"starts from {example.reference.video_id} is to be found {example.query.source_video_id}" in text
    assert page.text.count("shortkeywords") == EXAMPLES
    for name, told in FILTERS.items():
        assert f"{name}{' off' if name == 'unsafe' else ''}{told.replace('`', '')}" in text
    assert f"{FILTERS['leak']}1 queries" in text and f"{FILTERS['duplicate']}0" in text


def test_how_much_was_looked_at_is_told(tmp_path: Path) -> None:
    videos = [video("a", duration_s=2400, looked_s=96), video("b", duration_s=30, looked_s=30), video("old")]
    run = write_run(tmp_path / "run", videos)
    found = read_report_data(run)
    told = "movement looked for in 2 min 06 s of 40 min 30 s"
    assert str(found.coverage) == told
    write(run, lambda _: None, EMPTY, tmp_path / "report.html")
    assert f"40 min 50 s in all, {told}" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    short = read_report_data(write_run(tmp_path / "short", videos[1:]))
    assert str(short.coverage) == "", "nothing is said where all was looked at, or nobody wrote it down"


def test_what_is_counted(tmp_path: Path) -> None:
    run, _ = hostile_run(tmp_path / "run")
    found = read_report_data(run)
    assert found.records == {
        "videos": 2, "evidence": 1, "captions": 1, "queries": 1, "pairs": 2, "labels": 2, "judgments": 1, "dropped": 2,
    }  # fmt: skip
    assert found.seconds == 40 and found.damaged_total == 1 and found.duplicates == [(HOSTILE, HOSTILE + "2")]
    assert found.margins.unparsed == 1 and found.margins.counts["source", "yes"] == {8: 1}
    (example,) = found.examples
    assert [candidate.left_out for candidate in example.candidates] == [None, HOSTILE]
    assert [candidate.judgment is not None for candidate in example.candidates] == [True, False]


@settings(deadline=None)
@given(number=st.integers(0, 200), order=st.randoms())
def test_examples_cover_every_view_and_kind_whatever_the_order(number: int, order: Any) -> None:
    queries = [
        Query.create(text=f"q{i}", view=("caption", "ocr")[i % 2], kind=KINDS[i % len(KINDS)]) for i in range(number)
    ]
    chosen = choose_examples(queries)
    assert len(chosen) == min(number, EXAMPLES) == len({query.query_id for query in chosen})
    assert {(q.view, q.kind) for q in chosen} == {(q.view, q.kind) for q in queries}
    order.shuffle(queries)
    assert choose_examples(queries) == chosen


MARGINS = st.floats(-1e6, 1e6, allow_nan=False)


@settings(deadline=None)
@given(values=st.lists(MARGINS, min_size=1, max_size=60), a1=st.floats(-60, 0), a2=st.floats(0, 60))
def test_every_margin_is_in_the_histogram(values: list[float], a1: float, a2: float) -> None:
    margins = MarginCounts()
    for number, value in enumerate(values):
        label = TeacherLabel.create(
            pair_id=f"p{number}", query_id="q", video_id="v", verdict="yes" if value > 0 else "no", logit_margin=value,
            teacher=TeacherRef(backend="x", model=""),
        )  # fmt: skip
        margins.add(label, "source" if number % 2 else "mined")
    plot = histogram(margins, a1, a2)
    assert plot is not None
    assert sum(row.yes + row.no for row in plot.rows) == len(values)
    assert sum(bar.yes + bar.no for row in plot.rows for bar in row.bars) == len(values)
    for row in plot.rows:
        assert max(bar.yes_height + bar.no_height for bar in row.bars) == pytest.approx(100, abs=0.02)
        assert all(bar.left >= 0 and bar.left + bar.width <= 100.01 for bar in row.bars)
    assert 0 <= plot.trusted <= plot.suspected <= 100
    assert 2 <= len(plot.ticks) <= 14 and all(0 <= tick.at <= 100 for tick in plot.ticks)


def test_no_margins_no_histogram() -> None:
    assert histogram(MarginCounts(), -6, 8) is None


@settings(deadline=None)
@given(start=st.floats(0, 1e5), length=st.floats(0, 1e5), duration=st.floats(0, 1e5))
def test_spans_stay_on_the_time_line(start: float, length: float, duration: float) -> None:
    left, width = place(Span(start=start, end=start + length), duration)
    assert left >= 0 and width >= 1 and left + width <= 100.02


@pytest.mark.parametrize("duration", [0.0, 0.4, 3, 12.5, 59, 61, 600, 3599, 7200, 360_000, 1e7])
def test_a_time_line_has_a_few_ticks(duration: float) -> None:
    ticks = time_ticks(duration)
    assert ticks[0].at == 0 and len(ticks) <= 9 and all(tick.at <= 100 for tick in ticks)
    assert duration < 1 or len(ticks) >= 3


@pytest.mark.parametrize(
    "seconds, text", [(0, "0:00.0"), (7.5, "0:07.5"), (59.96, "1:00.0"), (750, "12:30.0"), (3723.25, "1:02:03.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def review_figures(name: str) -> dict[str, Any]:
    share, interval = {"count": 3, "of": 4, "interval": [0.3, 0.95]}, [0.1, 0.9]
    of_all = {
        "reviewers": 2, "pairs": 12, "raw": 0.75, "raw_interval": interval, "alpha": -0.125, "alpha_interval": interval,
        "alpha_ordinal": None, "fleiss": 0.5, "fleiss_interval": None,
    }  # fmt: skip
    person = {
        "name": name, "answers": 1234, "blind": 12, "discarded": 0, "seconds": 60.0, "seconds_each": 4.5, "gold": share,
        "with_others": share, "changed": {**share, "of": 0},
    }  # fmt: skip
    estimate = {
        "teacher": name, "pairs": 1000, "audited": 40, "precision": 0.875, "precision_interval": interval,
        "recall": None, "recall_interval": interval,
    }  # fmt: skip
    return {
        "answers": 1234, "pairs": 900, "orphans": 2, "conflicts": ["p_1"], "suggestions_changed": share,
        "agreement": of_all, "by_kind": {name: of_all}, "reviewers": [person], "teachers": [estimate],
        "kappas": [{"reviewers": [name, "b"], "pairs": 12, "raw": 0.7, "kappa": 0.25, "interval": interval}],
        "gold_disputes": [{"pair_id": "p", "query": name, "video_id": name, "known": 2, "said": [0, 0]}],
    }  # fmt: skip


def test_reviewing_has_its_part_where_there_was_any(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    (run / "review.json").write_text(json.dumps(review_figures(HOSTILE)))
    write(run, lambda _: None, EMPTY, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.elements and "img" not in page.elements and "<script>alert(1)</script>" in page.text
    told = " ".join(page.text.split())
    for text in ("1,234 answers of 1 people", "−0.12", "0.88", "3 of 4", "40 of 1,000", "1 pairs are in conflict"):
        assert text in told, text


def test_without_reviewing_there_is_no_such_part_and_a_broken_file_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [])
    write(run, lambda _: None, EMPTY, tmp_path / "report.html")
    assert 'id="review"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("{", "[]"):
        (run / "review.json").write_text(text)
        with pytest.raises(UsageError, match=r"review\.json.*hardcut review report"):
            write(run, lambda _: None, EMPTY, tmp_path / "report.html")
