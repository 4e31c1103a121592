from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from math import cos, sin
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from hardcut.engine.stage import Output
from hardcut.engine.vectors import VectorWriter, unit, write_note
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Group
from hardcut.schemas.errors import UsageError
from hardcut.schemas.guards import FILTERS
from hardcut.schemas.records import Caption, Evidence, Facet, Pair, Query, Span, TeacherRef
from hardcut.schemas.settings import FilterSettings, NegativeSettings
from hardcut.schemas.text.clean import tokens
from hardcut.schemas.twin import Twin
from hardcut.synth.candidates.first_stage import Bm25
from hardcut.synth.filters.repeated import duplicates
from hardcut.synth.negatives import NegativeStage

pytest.importorskip("bm25s", reason='needs pip install "hardcut[eval]"')

R = TypeVar("R", bound=Record)


class Records:
    """A reader over records in memory."""

    def __init__(self, *records: Record) -> None:
        self.records = sorted(records, key=lambda record: record.id)
        self._by_id = {(type(record), record.id): record for record in self.records}
        self._about: dict[tuple[type[Record], str], list[Record]] = {}
        for record in self.records:
            self._about.setdefault((type(record), record.about), []).append(record)

    def all(self, kind: type[R]) -> Iterator[R]:
        return (record for record in self.records if isinstance(record, kind))

    def get(self, kind: type[R], id: str) -> R | None:
        return self._by_id.get((kind, id))  # type: ignore[return-value]

    def about(self, kind: type[R], subject: str) -> list[R]:
        return self._about.get((kind, subject), [])  # type: ignore[return-value]


def said(video_id: str, text: str, kind: str = "speech") -> Evidence:
    return Evidence.create(video_id=video_id, kind=kind, text=text, extractor="test")


def captioned(video_id: str, text: str) -> Caption:
    return Caption.create(video_id=video_id, text=text, teacher=TeacherRef(backend="test", model="test"))


def written(text: str, source: str) -> Query:
    return Query.create(text=text, view="caption", kind="event", source_video_id=source)


def given(text: str, external_id: str) -> Query:
    return Query.create(text=text, view="user", kind="event", external_id=external_id)


def pairs(output: Output) -> list[tuple[str, str, str]]:
    assert output.drop is None
    found = [pair for pair in output.records if isinstance(pair, Pair)]
    return [(pair.video_id, *pair.origins, pair.expected) for pair in found]


def first_stage(output: Output) -> list[tuple[str, int, float]]:
    return [
        (p.first_stage[0].run, p.first_stage[0].rank, p.first_stage[0].score)
        for p in output.records
        if isinstance(p, Pair)
    ]


def test_tokens_of_several_scripts() -> None:
    assert tokens("Red BALL, Straße 7 出口 выход") == ["red", "ball", "strasse", "7", "出", "口", "выход"]


def test_bm25_breaks_ties_by_id_also_at_the_depth() -> None:
    index = Bm25((f"v{i:02d}", ["ball", "red" if i == 7 else "blue"]) for i in range(20))
    assert [hit.video_id for hit in index.search("a ball", 3)] == ["v19", "v18", "v17"]
    hits = index.search("red ball", 3)
    assert [(hit.video_id, hit.rank) for hit in hits] == [("v07", 1), ("v19", 2), ("v18", 3)]
    assert hits[1].score == hits[2].score
    assert index.search("unheard of", 3) == []
    assert Bm25([("a", [])]).search("red", 3) == []


def test_bm25_scores_are_those_of_the_formula() -> None:
    """Lucene's BM25, worked out by hand: idf = ln(1 + (2 - 1 + .5) / (1 + .5)), tf part = 1 / (1 + 1.5 * 1)."""
    index = Bm25([("a", ["red", "ball"]), ("b", ["blue", "ball"])])
    [hit] = index.search("red", 5)
    assert hit.score == pytest.approx(0.693147 / 2.5, abs=1e-4)


def test_a_written_query_meets_its_source_and_others(make_video) -> None:
    videos = [make_video(name) for name in ("a", "b", "c", "d")]
    query = written("red ball rolls", "b")
    records = Records(
        *videos, query, captioned("a", "red ball"), captioned("b", "a red ball rolls"), said("c", "the ball"),
        said("d", "red ball rolls", kind="shot"),
    )  # fmt: skip
    stage = NegativeStage(NegativeSettings(per_query=2))
    assert stage.kind == "collection"
    [(unit, output)] = list(stage.run(records))
    assert unit == query.query_id
    assert pairs(output) == [("b", "source", "yes"), ("a", "mined", "no"), ("c", "mined", "no")]
    assert [(run, rank) for run, rank, _ in first_stage(output)] == [("bm25", 1), ("bm25", 2), ("bm25", 3)]


def test_only_so_many_negatives(make_video) -> None:
    videos = [make_video(f"v{i}") for i in range(9)]
    records = Records(*videos, written("ball", "v0"), *(captioned(video.video_id, "ball") for video in videos))
    [(_, output)] = list(NegativeStage(NegativeSettings(per_query=3)).run(records))
    assert [video for video, *_ in pairs(output)] == ["v0", "v8", "v7", "v6"]


def test_near_duplicates_of_the_source_are_recorded_not_mined(make_video) -> None:
    videos = [make_video(name) for name in "abcd"]
    groups = [Group(video_id=name, group_id="a", size=2) for name in "ab"]
    groups += [Group(video_id=name, group_id="c", size=2) for name in "cd"]
    query = written("ball", "a")
    records = Records(*videos, *groups, query, *(captioned(name, "ball") for name in "abcd"))
    [(_, output)] = list(NegativeStage(NegativeSettings()).run(records))
    assert sorted(pairs(output)) == [("a", "source", "yes"), ("c", "mined", "no"), ("d", "mined", "no")]
    [dropped] = output.dropped
    assert dropped.reason == "duplicate_of_source" and "video b: the same recording as its source a" in dropped.detail


def test_content_duplicates_of_the_source_are_recorded_not_mined(make_video) -> None:
    source = make_video("a")
    twin, other = make_video("b", sha256=source.sha256), make_video("c")
    query = written("ball", "a")
    records = Records(source, twin, other, query, *(captioned(name, "ball") for name in "abc"))
    [(_, output)] = list(NegativeStage(NegativeSettings()).run(records))
    assert pairs(output) == [("a", "source", "yes"), ("c", "mined", "no")]
    [dropped] = output.dropped
    assert dropped.reason == "duplicate_of_source" and "content" in dropped.detail
    assert "video b" in dropped.detail


def test_filters_of_rankvideo(make_video) -> None:
    videos = [make_video(name) for name in ("a", "b", "c")]
    told = [captioned("a", "ball"), captioned("b", "red ball rolls fast"), captioned("c", "ball")]
    low = Records(*videos, *told, written("red rolls", "a"))
    [(_, output)] = list(NegativeStage(NegativeSettings()).run(low))
    assert output.drop is not None
    assert output.drop.reason == "positive_below_depth"
    late = Records(*videos, *told, written("ball", "a"))
    [(_, output)] = list(NegativeStage(NegativeSettings(depth=1)).run(late))
    assert output.drop is not None
    assert output.drop.reason == "positive_below_depth"
    beaten = Records(*videos, *told, written("red ball rolls", "a"))
    [(_, output)] = list(NegativeStage(NegativeSettings(max_ratio=1.5)).run(beaten))
    assert output.drop is not None
    assert output.drop.reason == "negative_outscores_positive"
    assert "b scores" in output.drop.detail
    [(_, output)] = list(NegativeStage(NegativeSettings(max_ratio=50)).run(beaten))
    assert pairs(output)[0] == ("a", "source", "yes")


def test_a_users_query_takes_the_first_ten(make_video) -> None:
    videos = [make_video(f"v{i:02d}") for i in range(15)]
    records = Records(
        *videos, given("ball", "q1"), given("zebra", "q2"), *(captioned(v.video_id, "ball") for v in videos)
    )
    outputs = {
        output.drop.item if output.drop else "found": output
        for _, output in NegativeStage(NegativeSettings(per_query=2)).run(records)
    }
    assert pairs(outputs["found"]) == [(f"v{i:02d}", "mined", "unknown") for i in range(14, 4, -1)]
    [dropped] = [output.drop for output in outputs.values() if output.drop]
    assert dropped.reason == "no_candidates"


RUN = """q1 Q0 b 1 3.5 clip
q1 Q0 gone 2 3.0 clip
q1 Q0 a 9 2.5 clip
q1 Q0 c 3 2.5 clip
q9 Q0 a 1 1.0 clip
"""


def test_the_users_run_takes_the_place_of_bm25(make_video, tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text(RUN)
    query, lacking, own = given("anything", "q1"), given("ball", "q2"), written("ball", "a")
    records = Records(*(make_video(name) for name in "abc"), query, lacking, own, captioned("a", "ball"))
    outputs = dict(NegativeStage(NegativeSettings(), run_file=tmp_path / "run.trec").run(records))
    assert pairs(outputs[query.query_id]) == [(name, "mined", "unknown") for name in "bca"]
    assert first_stage(outputs[query.query_id]) == [("clip", 1, 3.5), ("clip", 3, 2.5), ("clip", 4, 2.5)]
    assert first_stage(outputs[own.query_id])[0][0] == "bm25"
    told = {key: (output.drop.item, output.drop.reason) for key, output in outputs.items() if output.drop}
    assert told == {
        lacking.query_id: (lacking.query_id, "not_in_run"),
        "run query q9": ("q9", "unknown_query"),
        "run video gone": ("gone", "unknown_video"),
    }


def test_what_the_user_judged_is_paired_whatever_the_first_stage_finds(make_video, tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("q1 Q0 b 1 3.5 clip\n")
    (tmp_path / "qrels").write_text("q1 0 b 0\nq1 0 c 2\nq1 0 gone 1\nq2 0 a 1\n")
    found, lacking = given("anything", "q1"), given("ball", "q2")
    records = Records(*(make_video(name) for name in "abc"), found, lacking)
    stage = NegativeStage(NegativeSettings(), run_file=tmp_path / "run.trec", judgments_file=tmp_path / "qrels")
    outputs = dict(stage.run(records))
    origins = {
        query.query_id: [(pair.video_id, pair.origins, pair.expected) for pair in outputs[query.query_id].records]
        for query in (found, lacking)
    }
    assert origins[found.query_id] == [("b", ("mined", "imported"), "unknown"), ("c", ("imported",), "unknown")]
    assert origins[lacking.query_id] == [("a", ("imported",), "unknown")], "judged, though no first stage lists it"
    assert outputs[lacking.query_id].drop is None
    before = stage.settings
    (tmp_path / "qrels").write_text("q1 0 b 1\nq1 0 c 1\nq1 0 gone 1\nq2 0 a 0\n")
    assert stage.settings == before, "a grade changes judgments, and no pair"


def test_a_run_may_list_our_ids(make_video, tmp_path: Path) -> None:
    query = written("anything", "a")
    (tmp_path / "run").write_text(f"{query.query_id} Q0 a 1 -1.5 dense\n{query.query_id} Q0 b 2 -1.0 dense\n")
    records = Records(make_video("a"), make_video("b"), query)
    [(_, output)] = list(NegativeStage(NegativeSettings(), run_file=tmp_path / "run").run(records))
    assert pairs(output) == [("a", "source", "yes"), ("b", "mined", "no")]
    assert first_stage(output) == [("dense", 2, -1.5), ("dense", 1, -1.0)]


def test_settings_follow_the_runs_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(RUN)
    (tmp_path / "b").write_text(RUN)
    (tmp_path / "c").write_text(RUN.replace("2.5", "2.6"))
    one, same, other = (NegativeStage(NegativeSettings(), run_file=tmp_path / name).settings for name in "abc")
    assert one == same != other
    with pytest.raises(UsageError, match="cannot be read"):
        _ = NegativeStage(NegativeSettings(), run_file=tmp_path / "none").settings


def test_no_matrix_of_queries_and_videos(make_video) -> None:
    """800 queries on 10,000 videos: 32 MB would be one number for each pair; what is held stays far below."""
    rng, words = Random(0), [f"word{i}" for i in range(500)]

    def text() -> str:
        return " ".join(rng.sample(words, 6))

    videos = [make_video(f"v{i:04d}") for i in range(10_000)]
    queries: Sequence[Query] = [written(text(), f"v{i:04d}") for i in range(800)]
    records = Records(*videos, *queries, *(captioned(video.video_id, text()) for video in videos))
    tracemalloc.start()
    count = sum(1 for _ in NegativeStage(NegativeSettings(depth=100)).run(records))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 800
    assert peak < 16e6


def twin(one: str, other: str, relation: str = "chiral") -> list[Twin]:
    """Both records of a relation."""
    fields = {"relation": relation, "caption": "told of it"}
    return [
        Twin.create(video_id=a, other_video_id=b, differences=({"here": a, "there": b},), **fields)
        for a, b in ((one, other), (other, one))
    ]


def expected(output: Output) -> dict[str, tuple[tuple[str, ...], str]]:
    return {pair.video_id: (pair.origins, pair.expected) for pair in output.records if isinstance(pair, Pair)}


def test_twins_of_the_source_are_candidates_that_no_first_stage_has_to_find(make_video) -> None:
    query = written("red ball rolls", "a")
    videos = [make_video(name) for name in "abcdefg"]
    told = [captioned("a", "red ball rolls"), captioned("b", "red ball rolls"), captioned("d", "ball")]
    twins = twin("a", "b") + twin("a", "c") + twin("a", "e") + twin("a", "f", "edit")
    outputs = dict(NegativeStage(NegativeSettings(twins=2)).run(Records(*videos, *told, *twins, query)))
    assert expected(outputs[query.query_id]) == {
        "a": (("source",), "yes"),
        "b": (("mined", "counterfactual"), "no"),
        "d": (("mined",), "no"),
        "c": (("counterfactual",), "no"),
        "f": (("counterfactual",), "no"),
    }


def turned(parent: Query, text: str, variant: str) -> Query:
    return Query.create(
        text=text, view="caption", kind=parent.kind, variant=variant, source_video_id=parent.source_video_id,
        parent_query_id=parent.query_id,
    )  # fmt: skip


def test_a_counterfactual_query_meets_its_source_and_twins_that_may_answer_it(make_video) -> None:
    parent = written("red ball rolls left", "a")
    back, denied = turned(parent, "red ball rolls right", "reversed"), turned(parent, "no red ball rolls", "negated")
    blue, absent = (turned(parent, text, variant) for text, variant in (
        ("blue ball rolls left", "facet_changed"), ("red ball but no hoop", "negated_absent"),
    ))  # fmt: skip
    same = make_video("copy", sha256=make_video("b").sha256)
    videos = [*(make_video(name) for name in "abc"), same]
    told = [captioned("a", "red ball rolls left"), *(captioned(name, "red ball") for name in ("b", "c", "copy"))]
    records = Records(*videos, *told, *twin("a", "b"), *twin("a", "c", "edit"), parent, back, denied, blue, absent)
    outputs = dict(NegativeStage(NegativeSettings()).run(records))
    assert expected(outputs[back.query_id]) == {
        "a": (("counterfactual",), "no"),
        "b": (("counterfactual",), "unknown"),
        "c": (("mined",), "no"),
    }, "it may have a positive, and then it needs negatives"
    twins = {"b": (("counterfactual",), "unknown"), "c": (("counterfactual",), "unknown")}
    assert expected(outputs[denied.query_id]) == {"a": (("counterfactual",), "no"), **twins}, (
        "a twin has most of what is asked for, and perhaps not what is denied"
    )
    assert expected(outputs[blue.query_id]) == {"a": (("counterfactual",), "no")}
    assert expected(outputs[absent.query_id]) == {"a": (("counterfactual",), "yes"), **twins}, (
        "it denies what is not there, and a twin may show that"
    )
    alone = Records(*videos[:2], *told[:2], parent, absent)
    assert expected(dict(NegativeStage(NegativeSettings()).run(alone))[absent.query_id]) == {
        "a": (("counterfactual",), "yes"),
        "b": (("mined",), "no"),
    }, "without twins it meets a few candidates, so that it has negatives"
    assert not any(output.drop for output in outputs.values())


def test_what_a_composed_query_starts_from_is_no_candidate(make_video) -> None:
    query = Query.create(
        text="the same ball but red", view="caption", kind="composed", source_video_id="a", reference_video_id="b"
    )
    copy = make_video("b2", sha256=make_video("b").sha256)
    videos = [*(make_video(name) for name in "abc"), copy]
    told = [captioned(video.video_id, "the same red ball") for video in videos]
    [(_, output)] = NegativeStage(NegativeSettings()).run(Records(*videos, *told, *twin("a", "b"), query))
    assert expected(output) == {"a": (("source",), "yes"), "c": (("mined",), "no")}
    assert [(drop.reason, "starts from it (b)" in drop.detail) for drop in output.dropped] == [
        ("reference_video", True)
    ] * 2


def test_pairs_of_a_composed_query_know_what_it_starts_from(make_video) -> None:
    """Another file or caption of the reference makes other pairs, so that they are judged again."""
    query = Query.create(
        text="the same ball but red", view="caption", kind="composed", source_video_id="a", reference_video_id="b"
    )
    plain = written("the same red ball", "a")

    def references(digest: str, caption: str) -> dict[str, str | None]:
        videos = [make_video("a"), make_video("b", sha256=digest * 64)]
        told = [captioned("a", "the same red ball"), captioned("b", caption)]
        outputs = NegativeStage(NegativeSettings()).run(Records(*videos, *told, query, plain))
        return {pair.query_id: pair.reference for _, output in outputs for pair in output.records}

    seen = [references(*of) for of in (("1", "a ball"), ("1", "a ball"), ("2", "a ball"), ("1", "a blue ball"))]
    first, again, other_file, other_caption = (found[query.query_id] for found in seen)
    assert first == again and len({first, other_file, other_caption}) == 3
    assert {found[plain.query_id] for found in seen} == {None}


def test_candidates_are_those_of_a_full_ranking_at_a_fraction_of_the_hits() -> None:
    rng = Random(1)
    words = [f"w{i}" for i in range(60)]
    index = Bm25((f"v{i:04}", rng.choices(words, k=6)) for i in range(3000))
    for _ in range(40):
        text = " ".join(rng.sample(words, 4))
        whole = index.search(text, 3000)
        rank = {hit.video_id: hit for hit in whole}
        asked = [f"v{rng.randrange(3000):04}" for _ in range(5)] + ["unknown"]
        found = index.search(text, 9, asked)
        assert found[:9] == whole[:9] or [hit for hit in found if hit.rank <= 9] == whole[:9]
        assert {hit for hit in found if hit.rank > 9} == {rank[v] for v in asked if v in rank and rank[v].rank > 9}
        assert [hit.rank for hit in found] == sorted(hit.rank for hit in found)


def dropped_by(records: Records, **filters: object) -> dict[str, str]:
    stage = NegativeStage(NegativeSettings(max_ratio=50), FilterSettings.model_validate(filters))
    return {unit: output.drop.reason for unit, output in stage.run(records) if output.drop}


def test_filters_have_a_name_and_a_switch(make_video) -> None:
    video = make_video("a", path="clips/harbour-regatta.mp4", metadata={"title": "A day at the sea"})
    told = captioned("a", "white boats sail past the old pier in the morning wind")
    read = Evidence.create(video_id="a", kind="ocr", text="REGATTA OFFICE", span=Span(start=1, end=2), extractor="x")

    def asked(text: str, *facets: Facet, view: str = "caption") -> Query:
        return Query.create(text=text, view=view, kind="event", source_video_id="a", facets=facets)

    fine = asked(
        "boats sail past a pier", Facet(text='the text "regatta office"', modality="ocr", span=Span(start=1, end=2))
    )
    title, name = asked("boats on a day at the sea"), asked("the harbour regatta with boats")
    copied = asked("boats sail past the old pier")
    invented = asked("boats sail away", Facet(text="CLOSED", modality="ocr"))
    misplaced = asked("boats sail by", Facet(text="regatta office", modality="ocr", span=Span(start=7, end=9)))
    rude = asked("the Damned boats sail")
    same = asked("Boats sail past the pier!")
    by_title = asked("white boats and a day at the sea", view="metadata")
    whole_title = asked("A day at the sea", view="metadata")
    queries = [fine, title, name, copied, invented, misplaced, rude, same, by_title, whole_title]
    records = Records(video, make_video("b"), told, read, *queries)
    twice = max(fine.query_id, same.query_id)
    wanted = {
        title.query_id: "leak", name.query_id: "leak", copied.query_id: "leak", whole_title.query_id: "leak",
        invented.query_id: "ungrounded", misplaced.query_id: "ungrounded", rude.query_id: "unsafe", twice: "duplicate",
    }  # fmt: skip
    unknown = {query.query_id for query in queries} - wanted.keys()
    found = dropped_by(records, unsafe=["damned"])
    assert found == wanted and unknown == {by_title.query_id, min(fine.query_id, same.query_id)}
    for switch, reason in (("leak", "leak"), ("ungrounded", "ungrounded"), ("duplicate", "duplicate")):
        off = dropped_by(records, unsafe=["damned"], **{switch: False})
        assert reason not in off.values() and {k: v for k, v in wanted.items() if v != reason}.items() <= off.items()
    assert "unsafe" not in dropped_by(records).values()
    assert set(wanted.values()) <= FILTERS.keys()


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("a red ball rolls", "A red ball rolls!", True),
        ("a red ball bounces", "the red ball is bouncing", True),
        ("a door opens before a bell rings", "a bell rings after a door opens", True),
        ("a door opens before a bell rings", "a bell rings before a door opens", False),
        ("a blue thing moves from left to right", "a blue thing moves from right to left", False),
        ("the sign says floor 5", "the sign says floor 6", False),
        ("a lighthouse on a rocky shore", "a lighthouse on a rockey shore", True),
        ("a dog without a leash", "a dog with a leash", False),
        ("a man bites a dog", "a dog bites a man", False),
    ],
)
def test_what_says_the_same(one: str, other: str, same: bool) -> None:
    assert bool(duplicates([written(one, "a"), written(other, "b")])) is same


def test_a_paraphrase_is_no_duplicate() -> None:
    parent = written("a red ball rolls", "a")
    paraphrase = turned(parent, "the red ball is rolling", "paraphrase")
    assert duplicates([parent, paraphrase, given("a red ball rolls", "q1")]) == {}


def test_the_users_vectors_rank_in_place_of_bm25_or_with_it(make_video, tmp_path: Path) -> None:
    """Words alone put c first and do not find d; the vectors put d first. With both, what both find comes first."""
    vectors = tmp_path / "vectors"
    query = written("red ball rolls", "b")
    angles = {"a": 0.4, "b": 0.1, "c": 2.0, "d": 0.0, "e": 1.0}
    for kind, points in (("videos", angles), ("queries", {query.query_id: 0.0})):
        writer = VectorWriter(vectors, kind, {})
        writer.add(list(points), ["c"] * len(points), unit([[cos(at), sin(at)] for at in points.values()]))
    write_note(vectors, {"model": "m", "complete": True})
    records = Records(
        *(make_video(name) for name in "abcd"), query, captioned("a", "red ball"), captioned("b", "a ball rolls"),
        captioned("c", "red ball rolls"), captioned("d", "nothing of it"),
    )  # fmt: skip
    found = {}
    for how in ("given", "fused"):
        stage = NegativeStage(NegativeSettings(per_query=3, first_stage=how), run_file=vectors)
        outputs = dict(stage.run(records))
        found[how] = first_stage(outputs[query.query_id])
        assert outputs["run video e"].drop.reason == "unknown_video"
        assert stage.settings["ranks"] == how
    assert [(run, rank) for run, rank, _ in found["given"]] == [("dense", 2), ("dense", 1), ("dense", 3), ("dense", 4)]
    assert [score for *_, score in found["given"]] == [round(cos(at), 6) for at in (0.1, 0.0, 0.4, 2.0)]
    # BM25: c, then a and b by their words; vectors: d b a c.
    bm25 = first_stage(dict(NegativeStage(NegativeSettings(per_query=3)).run(records))[query.query_id])
    ranks = {"bm25": {"c": 1, "b": bm25[0][1], "a": 5 - bm25[0][1]}, "dense": {"d": 1, "b": 2, "a": 3, "c": 4}}
    expected = {video: round(sum(1 / (60 + of[video]) for of in ranks.values() if video in of), 6) for video in "abcd"}
    assert {run for run, *_ in found["fused"]} == {"bm25+dense"}
    assert found["fused"][0][2] == expected["b"]
    assert sorted((score for *_, score in found["fused"][1:]), reverse=True) == sorted(
        (expected[video] for video in "acd"), reverse=True
    )


def test_changed_vectors_are_another_key(tmp_path: Path) -> None:
    keys = []
    for number in (1.0, 2.0):
        folder = tmp_path / str(number)
        for kind in ("captions", "queries"):
            VectorWriter(folder, kind, {}).add(["x"], ["c"], unit([[1.0, number]]))
        write_note(folder, {"model": "m", "complete": True})
        keys.append(NegativeStage(NegativeSettings(), run_file=folder).settings["run"])
    assert keys[0] != keys[1]


def test_a_folder_without_what_a_first_stage_needs_is_refused(tmp_path: Path) -> None:
    VectorWriter(tmp_path, "videos", {}).add(["x"], ["c"], unit([[1.0, 0.0]]))
    write_note(tmp_path, {"model": "m", "complete": True})
    with pytest.raises(UsageError, match="vectors of queries"):
        NegativeStage(NegativeSettings(), run_file=tmp_path).settings  # noqa: B018


def test_rankvideos_filters_hold_for_vectors_too(make_video, tmp_path: Path) -> None:
    """The source below the depth, and another video of more than twice its score."""
    queries = {"far": written("the far one is last", "a"), "weak": written("a weak one is there", "b")}
    vectors = tmp_path / "vectors"
    writer = VectorWriter(vectors, "videos", {})
    writer.add(["a", "b", "c"], ["c"] * 3, unit([[-1.0, 0.1], [0.3, 1.0], [1.0, 0.0]]))
    VectorWriter(vectors, "queries", {}).add(
        [query.query_id for query in queries.values()], ["c"] * 2, unit([[1.0, 0.0], [1.0, 0.0]])
    )
    write_note(vectors, {"model": "m", "complete": True})
    records = Records(*(make_video(name) for name in "abc"), *queries.values())
    stage = NegativeStage(NegativeSettings(depth=2), run_file=vectors)
    drops = {unit_id: output.drop.reason for unit_id, output in stage.run(records) if output.drop}
    assert drops == {
        queries["far"].query_id: "positive_below_depth", queries["weak"].query_id: "negative_outscores_positive",
    }  # fmt: skip
