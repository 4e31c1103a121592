"""What reviewers flag acts: it leaves in no file of any format, is not trained on, or is corrected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hardcut.annotate.records import RunRecords
from hardcut.publish.allowances import items_to_allow
from hardcut.publish.checks.content import flagged as flagged_check
from hardcut.publish.dataset import Dataset
from hardcut.publish.diff import diff
from hardcut.publish.export_dataset import export
from hardcut.publish.formats.registry import EXPORTERS, OF_PIXELS, OF_TRIPLETS, convert
from hardcut.publish.gate import check
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.flags import NOTHING_FLAGGED, flagged, moment, well_formed
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Dropped, Query, Span
from hardcut.schemas.settings import FilterSettings, JudgmentSettings, Settings

WriteRun = Callable[[Path, Iterable[Record]], Path]
SETTINGS = Settings(export=ExportSettings(name="flags", licence="cc0-1.0", train=0.6, validation=0.2))
CONTENTS = {"v1": digest("one"), "again": digest("one"), "copy": digest("two"), "v2": digest("three")}
GROUPS = {"v1": "g", "copy": "g"}


@pytest.fixture
def say(make: Any) -> Callable[..., Review]:
    """`say("ada", "v1", flags=("unsafe",))`: an answer about one query and a video."""

    def made(person: str, video_id: str = "v1", query: Query | None = None, **fields: Any) -> Review:
        of = query or QUERY(make)
        pair = make.pair(of, video_id)
        given = {"relevance": 2, "video_sha256": CONTENTS.get(video_id), **fields}
        review: Review = make.review(pair, of, given.pop("relevance"), person, **given)
        return review

    return made


def QUERY(make: Any) -> Query:
    found: Query = make.query("what the user asks")
    return found


def test_one_person_withholds_an_unsafe_video_with_its_copies_and_what_was_written_from_it(make: Any, say: Any) -> None:
    written, other = make.query("a ball rolls", "copy"), make.query("a door opens", "v2")
    composed = make.query("the same, but blue", "v2", reference_video_id="again")
    queries = [QUERY(make), written, other, composed]
    found = flagged([say("ada", flags=("unsafe",)), say("bob"), say("eve")], queries, CONTENTS, GROUPS)
    assert found.videos == dict.fromkeys(("v1", "again", "copy"), "flagged_unsafe")
    assert found.queries == dict.fromkeys((written.query_id, composed.query_id), "flagged_unsafe")
    assert found.withheld(QUERY(make).query_id, "v2") is None
    assert found.withheld(QUERY(make).query_id, "copy") == "flagged_unsafe"


def test_unsafe_words_withhold_the_query_alone(make: Any, say: Any) -> None:
    found = flagged([say("ada", flags=("unsafe_query",))], [QUERY(make)], CONTENTS, GROUPS)
    assert (found.videos, found.queries) == ({}, {QUERY(make).query_id: "flagged_unsafe"})


def test_unsafe_words_withhold_what_teachers_made_of_them_and_not_what_a_reviewer_did(make: Any, say: Any) -> None:
    query = QUERY(make)
    made = make.query("what the user wants", variant="paraphrase", parent_query_id=query.query_id)
    turned = make.query("not what the user wants", variant="negated", parent_query_id=made.query_id)
    mended = make.query("what somebody asks", variant="rewritten", parent_query_id=query.query_id)
    found = flagged([say("ada", flags=("unsafe_query",))], [turned, mended, made, query], CONTENTS)
    assert found.queries.keys() == {query.query_id, made.query_id, turned.query_id}


@pytest.mark.parametrize(
    ("people", "withheld"),
    [
        ([("broken_video",)], True),
        ([("broken_video",), ()], True),
        ([("broken_video",), (), ()], False),
        ([(), ()], False),
    ],
    ids=["the only one", "half", "one of three", "nobody"],
)
def test_a_video_is_broken_where_half_of_those_who_looked_say_so(
    make: Any, say: Any, people: list[tuple[str, ...]], withheld: bool
) -> None:
    said = [say(f"p{at}", flags=flags) for at, flags in enumerate(people)]
    found = flagged(said, [QUERY(make)], CONTENTS, GROUPS).videos
    assert found == (dict.fromkeys(("v1", "again"), "flagged_broken") if withheld else {}), "a copy may be intact"


def test_flags_of_a_draft_a_replaced_file_or_other_words_do_nothing(make: Any, say: Any) -> None:
    everything = ("unsafe", "broken_video", "ambiguous", "wrong_language", "unsafe_query")
    draft = say("ada", flags=everything, status="draft")
    replaced = say("bob", flags=("unsafe", "broken_video"), video_sha256=digest("as it was"))
    reworded = say("eve", flags=("ambiguous", "unsafe_query"), query_digest=digest("other words"), well_formed=False)
    assert flagged([draft, replaced, reworded], [QUERY(make)], CONTENTS, GROUPS) == NOTHING_FLAGGED
    discarded = say("ada", flags=("unsafe",), status="discarded", relevance=None)
    assert "v1" in flagged([discarded], [QUERY(make)], CONTENTS).videos, "who discards still tells what it is"


def test_words_that_are_not_clear_are_not_trained_on_and_a_wrong_language_is_another(make: Any, say: Any) -> None:
    query = QUERY(make)

    def of(*reviews: Review) -> tuple[str | None, str | None]:
        found = flagged(reviews, [query], CONTENTS)
        return found.untrained.get(query.query_id), found.languages.get(query.query_id)

    assert of(say("ada", flags=("ambiguous",))) == ("ambiguous", None)
    assert of(say("ada", flags=("ambiguous",)), say("bob"), say("eve", "v2")) == (None, None)
    mine = query.query_id
    turned = make.query("what it does not answer", "v1", variant="negated", kind="negation", parent_query_id=mine)
    reworded = make.query("what a person wrote", "v1", variant="rewritten", parent_query_id=mine)
    found = flagged([say("ada", flags=("ambiguous",))], [query, turned, reworded], CONTENTS)
    assert found.untrained == dict.fromkeys((mine, turned.query_id), "ambiguous"), "a person's wording is trained on"
    assert of(say("ada", well_formed=False), say("bob"), say("eve")) == ("needs_other_words", None)
    assert of(say("ada", well_formed=False), say("bob", well_formed=True), say("eve", well_formed=True))[0] is None
    assert of(say("ada", flags=("wrong_language",))) == (None, "und")
    assert of(say("ada", flags=("wrong_language",), language="de"), say("bob", language="de"))[1] == "de"
    assert of(say("ada", language="de"), say("bob"), say("eve"))[1] is None


def test_the_moment_is_the_middle_of_what_those_marked_who_decided(say: Any) -> None:
    spans = [Span(start=1, end=4), Span(start=2, end=9), Span(start=3, end=5)]
    said = [say(f"p{at}", span=span) for at, span in enumerate(spans)]
    assert moment([*said, say("odd", relevance=0, span=Span(start=8, end=9))]) == Span(start=2, end=5)
    assert moment([say("ada", relevance=0, span=spans[0])]) is None and moment([]) is None
    assert (well_formed([]), well_formed([say("ada", well_formed=True)])) == (None, True)


@pytest.fixture
def flagged_run(tmp_path: Path, make: Any, write_run: WriteRun) -> tuple[Path, dict[str, Any]]:
    """40 videos with a query each, of which people flagged some; judged by the stage itself. What was flagged."""
    videos = [make.video(f"v{at:02}", licence="cc0-1.0", title=f"title {at}") for at in range(40)]
    queries = [make.query(f"unlike {digest(str(at))} {digest(f'{at} more')}", f"v{at:02}") for at in range(40)]
    records: list[Record] = [*videos, *(make.caption(video.video_id, f"Seen {video.video_id}.") for video in videos)]
    pairs = {}
    for at, query in enumerate(queries):
        for step in range(3):
            pair = pairs[at, step] = make.pair(query, f"v{(at + 5 * step) % 40:02}")
            records += [pair, make.label(pair, *(("yes", 6.0) if step == 0 else ("no", -8.0)))]
    people = {"query_digest": None, "blind": False}
    del people["query_digest"]
    reviews = [
        make.review(pairs[0, 0], queries[0], 2, flags=("unsafe",), **people),
        make.review(pairs[7, 0], queries[7], 0, flags=("unsafe_query",), **people),
        make.review(pairs[11, 1], queries[11], None, flags=("broken_video",), status="discarded", **people),
        *(
            make.review(pairs[at, 0], queries[at], 2, span=Span(start=1, end=3), flags=flags, **people)
            for at, flags in ((20, ("ambiguous",)), (21, ("wrong_language",)))
        ),
        *(make.review(pairs[at, 0], queries[at], 2, well_formed=False, **people) for at in range(22, 40)),
    ]
    group = [Group(video_id=name, group_id="v00", size=2) for name in ("v00", "v33")]
    folder = write_run(tmp_path / "run", [*records, *queries, *group])
    with (folder / Review.FILE).open("w") as file:
        write_records(file, sorted(reviews, key=lambda review: review.review_id))
    with (folder / KeptPair.FILE).open("w") as file:
        kept = {"origins": ("mined",), "expected": "unknown"}
        ids = ({name: getattr(pair, name) for name in ("pair_id", "query_id", "video_id")} for pair in pairs.values())
        write_records(file, (KeptPair(**each, **kept) for each in sorted(ids, key=lambda each: str(each["pair_id"]))))
    judge(folder, [*records, *queries, *group])
    return folder, {"pairs": pairs, "queries": queries}


def judge(run: Path, records: list[Record]) -> None:
    """The stage on these records and the run's reviews; its judgments and what it drops into the run."""
    from tests.publish.test_judgments import Records

    off = FilterSettings(unspecific=False, without_watching=False)
    stage = JudgmentStage(JudgmentSettings(), off, reviews=run / Review.FILE)
    told = [output for _, output in stage.run(Records(records))]
    judgments = [record for output in told for record in output.records if isinstance(record, Judgment)]
    for kind, found in ((Judgment, judgments), (Dropped, [output.drop for output in told if output.drop])):
        with (run / kind.FILE).open("w") as file:
            write_records(file, sorted(found, key=lambda record: record.id))


def test_what_is_flagged_is_in_no_file_of_any_format(flagged_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Also not of a dataset that goes on from one that had it. Searched by bytes, in tables by their rows."""
    run, told = flagged_run
    reviews = (run / Review.FILE).read_bytes()
    clean = tmp_path / "out"
    (run / Review.FILE).unlink()
    export(run, clean, SETTINGS)
    (run / Review.FILE).write_bytes(reviews)
    pairs, queries = told["pairs"], told["queries"]
    out_videos = {"v00", "v33", pairs[11, 1].video_id}
    out_queries = {query.query_id for query in queries if query.source_video_id in out_videos} | {queries[7].query_id}
    out_pairs = {p.pair_id for p in pairs.values() if p.video_id in out_videos or p.query_id in out_queries}
    texts = {query.text for query in queries if query.query_id in out_queries}
    assert len(out_pairs) > 15

    summary = export(run, clean, SETTINGS)
    folders = [clean]
    for name in (
        EXPORTERS.keys() - OF_PIXELS - OF_TRIPLETS
    ):  # which write the rows of these, with pictures of real videos
        convert(Dataset(clean), name, tmp_path / name)
        folders.append(tmp_path / name)
    names = (name for id in out_videos for name in (f"{id}.mp4", f'"{id}"'))  # as a path, and as an id in JSON
    forbidden = [*out_pairs, *texts, *names]
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file():
            table = path.suffix == ".parquet"
            body = json.dumps(pq.read_table(path).to_pylist(), default=str).encode() if table else path.read_bytes()
            assert not [one for one in forbidden if one.encode() in body], path
    result = next(each for each in summary.gate if each.name == "flagged")
    assert result.state == "passed" and "3 videos flagged" not in result.message
    assert "2 videos flagged unsafe" in result.message and "1 videos flagged broken" in result.message


def test_the_version_before_says_why_it_is_gone(flagged_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run, _ = flagged_run
    reviews = (run / Review.FILE).read_bytes()
    (run / Review.FILE).unlink()
    export(run, tmp_path / "old", SETTINGS)
    (run / Review.FILE).write_bytes(reviews)
    export(run, tmp_path / "new", SETTINGS)
    found = diff(Dataset(tmp_path / "old"), Dataset(tmp_path / "new"))
    assert found.configs["corpus"].gone == {"flagged_unsafe": 2, "flagged_broken": 1}


def test_the_rows_say_what_people_said(flagged_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run, told = flagged_run
    export(run, tmp_path / "out", SETTINGS)
    dataset, queries = Dataset(tmp_path / "out"), told["queries"]
    split_of = {row["query_id"]: split for split, row in dataset.rows("queries")}
    rows = {row["query_id"]: row for _, row in dataset.rows("queries")}
    pairs = {row["pair_id"]: row for _, row in dataset.rows("pairs")}
    german = rows[queries[21].query_id]
    assert (german["language"], german["flags"]) == ("und", ["wrong_language"])
    own = pairs[told["pairs"][21, 0].pair_id]
    assert (own["language"], own["moment"], own["well_formed"]) == ("und", {"start": 1.0, "end": 3.0}, None)
    assert pairs[told["pairs"][1, 0].pair_id]["flags"] == [] and rows[queries[1].query_id]["well_formed"] is None
    unclear = [query.query_id for query in queries[22:] if query.source_video_id not in ("v33", "v16")]
    there = {split_of[id] for id in unclear if id in split_of}
    assert there == {"validation", "test"} and any(id not in split_of for id in unclear), "not trained on"
    assert all(rows[id]["well_formed"] is False for id in unclear if id in rows)
    left_out = [json.loads(line) for line in (tmp_path / "out" / "left_out.jsonl").read_text().splitlines()]
    assert "needs_other_words" in {line["reason"] for line in left_out}


def test_a_dataset_of_an_earlier_version_does_not_say_what_was_flagged(
    flagged_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = flagged_run
    marker = export(run, tmp_path / "out", SETTINGS).out / "hardcut.json"
    told = json.loads(marker.read_text())
    del told["withheld"]
    marker.write_text(json.dumps(told))
    result = flagged_check(Dataset(tmp_path / "out"), SETTINGS)
    assert result.state == "unknown" and items_to_allow(result)
    assert check(Dataset(tmp_path / "out"), SETTINGS)


def test_nobody_is_asked_again_about_what_is_withheld(make: Any, say: Any, tmp_path: Path) -> None:
    query = QUERY(make)
    pairs = {pair.pair_id: pair for pair in (make.pair(query, "v1"), make.pair(query, "v2"))}
    reviews = {id: (say("ada", pairs[id].video_id), say("bob", pairs[id].video_id, relevance=0)) for id in pairs}
    unsafe, _ = pairs
    told = RunRecords(
        tmp_path, pairs, {query.query_id: query}, labels={}, reasons={unsafe: "flagged_unsafe"}, known={},
        reviews=reviews,
    )  # fmt: skip
    assert [each.pair.pair_id for each in told.candidates()] == [id for id in pairs if id != unsafe]
    assert unsafe not in {item.pair_id for item in told.plan(SETTINGS.review).items}
