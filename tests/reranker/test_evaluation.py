"""What an evaluation says: intervals, comparisons, slices, calibration, audits and the diagnostic set."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import numpy as np
import pytest

import hardcut
from hardcut.report.statistics.significance import holm, mean, measured, randomisation_test
from hardcut.reranker.evaluation import evaluate, runs_by_name
from hardcut.reranker.evaluation_page import render, versus
from hardcut.reranker.facts import DatasetFacts, NuanceBlock, QueryFacts, read_facts
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import Qrels, Run


def _world(
    queries: int = 60, videos: int = 20, seed: int = 0
) -> tuple[dict[str, dict[str, int]], dict[str, Run], DatasetFacts]:
    """Qrels of one relevant video a query, a run by chance, a good one, and one that knows only the video."""
    draw = random.Random(seed)
    qrels, chance, good, shortcut = {}, {}, {}, {}
    popular = {f"v{n}": draw.gauss(0, 3) for n in range(videos)}
    for number in range(queries):
        query = f"q{number:03}"
        shown = draw.sample(sorted(popular), 10)
        qrels[query] = {video: int(at == 0) for at, video in enumerate(shown)}
        chance[query] = {video: draw.gauss(0, 2) for video in shown}
        good[query] = {video: draw.gauss(3 if at == 0 else -3, 2) for at, video in enumerate(shown)}
        shortcut[query] = {video: popular[video] for video in shown}
    words = ("red ball", "blue box", "green bird")
    facts = {
        query: QueryFacts(f"the {words[at % 3]} of {query}", {"kind": ("event", "temporal")[at % 2], "language": "en"})
        for at, query in enumerate(qrels)
    }
    return qrels, {"chance": chance, "good": good, "shortcut": shortcut}, DatasetFacts(facts)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        found = mean(list(draw.beta(2, 3, size=40)))
        assert found.mean is not None and found.low is not None and found.high is not None
        assert found.low < found.mean < found.high
        covered += found.low <= 0.4 <= found.high
    assert 50 <= covered <= 60
    assert mean([]).mean is None and mean([0.5, 0.5]).low == 0.5


def test_the_randomisation_test_knows_chance_from_a_difference() -> None:
    draw = np.random.default_rng(2)
    assert randomisation_test(list(draw.normal(0.3, 0.3, size=50))) < 0.001
    by_chance = [randomisation_test(list(draw.normal(0, 1, size=30))) for _ in range(40)]
    assert sum(p < 0.05 for p in by_chance) <= 6 and 0.3 < float(np.mean(by_chance)) < 0.7
    assert randomisation_test([0.0, 0.0]) == 1.0
    exact = randomisation_test([1.0, 1.0, 1.0, 1.0, 1.0])  # 2 of 32 sign patterns are as large
    assert exact == pytest.approx(2 / 32, abs=0.01)


def test_runs_are_measured_over_the_same_queries_and_compared_with_the_first() -> None:
    qrels, runs, facts = _world()
    lacking = {query: scores for query, scores in runs["good"].items() if query != "q000"} | {"extra": {"v1": 1.0}}
    found = evaluate(qrels, {"chance": runs["chance"], "good": lacking}, facts, ["nDCG@10", "RR"])
    assert found.queries == 60 and found.runs[1].lacking == ("q000",) and found.runs[1].unjudged == 1
    assert all(run.measures["nDCG@10"].queries == 60 for run in found.runs)
    assert found.per_query[0].values["good"] == 0.0
    (comparison,) = found.comparisons
    assert (comparison.run, comparison.against) == ("good", "chance")
    first = comparison.measures[0]
    assert first.measure == "nDCG@10" and first.p_value < 0.01 and first.won + first.lost + first.equal == 60
    assert first.difference.low is not None and first.difference.low > 0
    means = [run.measures["nDCG@10"].mean for run in found.runs]
    assert means[0] and means[1] and comparison.relative == pytest.approx(means[1] / means[0] - 1)
    assert evaluate(qrels, {"chance": runs["chance"], "good": lacking}, facts, ["nDCG@10", "RR"]) == found


def test_a_run_that_names_videos_otherwise_is_told() -> None:
    qrels = {"q": {"a": 1, "b": 0}}
    found = evaluate(qrels, {"theirs": {"q": {"a.mp4": 2.0}}, "ours": {"q": {"b": 2.0, "c": 1.0}}})
    theirs, ours = found.runs
    assert theirs.apart == ("a.mp4", "a") and ours.apart is None
    assert "theirs: none of its videos is in the qrels" in render(found)


def test_how_much_hangs_on_ties_is_told() -> None:
    """By hand: of q1 the relevant one is among three that tie, of q2 nothing ties, and q3 ties below the tenth."""
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}}
    below = {f"v{n:02}": float(n >= 2) * n for n in range(14)}
    tied = {"q1": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0}, "q2": {"a": 2.0, "b": 1.0}, "q3": {"a": 20.0, **below}}
    found = evaluate(qrels, {"tied": tied, "flat": {query: {"a": 0.5, "b": 0.5} for query in qrels}}, measures=["RR"])
    ties, flat = (run.ties for run in found.runs)
    assert ties is not None and ties.queries == 1
    assert ties.ranges["RR"] == (pytest.approx((1 / 3 + 1 + 1) / 3), 1.0)
    worst, best = ties.ranges["RR"]
    assert found.runs[0].measures["RR"].mean == pytest.approx(worst) and worst < best, (
        "by id the relevant one is the last of the three"
    )
    assert flat is not None and flat.queries == 3 and flat.ranges["RR"] == (0.5, 1.0)
    assert "3 queries have ties" in render(found)
    assert evaluate(qrels, {"run": {"q2": tied["q2"]}}).runs[0].ties is None


def test_slices_split_the_queries_and_keep_the_unknown_ones() -> None:
    qrels, runs, facts = _world()
    fewer = DatasetFacts({query: known for query, known in facts.queries.items() if query != "q001"})
    kinds = evaluate(qrels, runs, fewer).runs[1].slices["kind"]
    assert {name: of.queries for name, of in kinds.items()} == {"event": 30, "temporal": 29, "not in the dataset": 1}
    whole = evaluate(qrels, runs, fewer).runs[1].measures["nDCG@10"].mean
    assert whole == pytest.approx(sum((of.mean or 0) * of.queries for of in kinds.values()) / 60)
    assert evaluate(qrels, runs).runs[0].slices == {}


def test_the_audit_finds_scores_that_know_only_the_video() -> None:
    qrels, runs, facts = _world(queries=120)
    priors = {run.name: run.prior for run in evaluate(qrels, runs, facts).runs}
    assert priors["shortcut"].video_only is not None and priors["shortcut"].video_only > 0.7
    assert priors["chance"].video_only is not None and priors["chance"].video_only < 0.1
    assert priors["chance"].query_only is not None and priors["chance"].query_only < 0.1
    assert evaluate(qrels, runs).runs[0].prior.query_only is None
    silent = DatasetFacts({query: QueryFacts("?!", known.facets) for query, known in facts.queries.items()})
    assert evaluate(qrels, runs, silent).runs[1].prior.query_only == 0.0
    by_query = {query: dict.fromkeys(scores, float(at % 3)) for at, (query, scores) in enumerate(runs["good"].items())}
    told = evaluate(qrels, {"words": by_query}, facts).runs[0].prior
    assert told.query_only is not None and told.query_only > 0.7, "its scores follow the query's words"


def _many(queries: int, videos: int, depth: int, share: float, seed: int = 0) -> tuple[Qrels, Run]:
    """Scores of which a share of the variance is the video's, over many queries and videos."""
    draw = random.Random(seed)
    popular = [draw.gauss(0, share**0.5) for _ in range(videos)]
    run = {
        f"q{n}": {f"v{v}": popular[v] + draw.gauss(0, (1 - share) ** 0.5) for v in draw.sample(range(videos), depth)}
        for n in range(queries)
    }
    return {query: {next(iter(scores)): 1} for query, scores in run.items()}, run


def test_a_prior_of_the_video_is_found_however_many_videos_there_are() -> None:
    """A planted R2 of .90. Whole queries by hash, one in ten, would leave a video with less than two of them."""
    qrels, run = _many(queries=2000, videos=6000, depth=50, share=0.9)
    found = evaluate(qrels, {"planted": run}, measures=["RR"]).runs[0].prior
    assert found.video_only is not None and 0.8 < found.video_only <= 0.9 and found.videos > 300
    assert 5_000 < found.video_pairs < 15_000
    clean = evaluate(*_many_clean(), measures=["RR"]).runs[0].prior
    assert clean.video_only is not None and clean.video_only < 0.02


def _many_clean() -> tuple[Qrels, dict[str, Run]]:
    qrels, run = _many(queries=300, videos=300, depth=20, share=0.0)
    return qrels, {"clean": run}


def test_where_videos_repeat_too_little_the_audit_is_silent() -> None:
    qrels, run = _many(queries=60, videos=5000, depth=50, share=0.9)
    found = evaluate(qrels, {"planted": run}, measures=["RR"]).runs[0].prior
    assert found.video_only is None and "scored for 5 queries or more are too few" in found.note


def test_the_diagnostic_set_is_that_of_the_split_that_is_evaluated() -> None:
    blocks = [
        NuanceBlock("negated", f"{s}{n}", f"{s}{n}", f"{s}n{n}", split=s) for s in ("test", "train") for n in "12"
    ]
    run = {query: {block.video_id: score} for block in blocks for query, score in
           ((block.answered, float(block.split == "train")), (block.unanswered, 0.5))}  # fmt: skip
    facts = DatasetFacts({"test1": QueryFacts("a", {"kind": "event"}, "test")}, {}, blocks)
    found = evaluate({"test1": {"test1": 1}}, {"run": run}, facts).runs[0].diagnostic
    assert found is not None and found.splits == ("test",)
    assert (found.changes["negated"].blocks, found.changes["negated"].rate) == (2, 0.0), "train's passed"
    unknown = evaluate({"mine": {"test1": 1}}, {"run": run}, facts).runs[0].diagnostic
    assert unknown is not None and not unknown.splits and unknown.changes["negated"].rate == 0.5


def test_test_queries_whose_text_was_trained_on_are_told() -> None:
    texts = {"t1": "A ball rolls!", "t2": "A box falls.", "t3": "…", "own": "a cup"}
    train = {"r1": "a  BALL rolls", "r2": "a box stands", "r3": "!"}
    facts = DatasetFacts(
        {id: QueryFacts(text, {"kind": "event"}, "test") for id, text in texts.items() if id != "own"}
        | {id: QueryFacts(text, {"kind": "event"}, "train") for id, text in (train | {"own": "a cup"}).items()}
    )
    qrels = {id: {"a": 1, "b": 0} for id in texts}
    run = {id: {"a": float(id == "t1"), "b": 0.5} for id in texts}
    found = evaluate(qrels, {"run": run}, facts, ["RR"])
    assert found.leaked == ("t1",) and found.runs[0].measures["RR"].mean == 0.625
    without = found.runs[0].unleaked
    assert without is not None and (without.queries, without.mean) == (3, 0.5)
    assert "1 queries have the text of a training query (t1)" in render(found)
    assert evaluate(qrels, {"run": run}).runs[0].unleaked is None


def test_p_values_are_corrected_over_measures_and_slices() -> None:
    """Holm's own steps, against statsmodels; and ten slices of one run by chance."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    given = [0.01, 0.04, 0.03, 0.005, 0.6, 0.04]
    assert holm(given) == pytest.approx(list(multitest.multipletests(given, method="holm")[1]))
    assert holm([]) == []
    qrels, runs, facts = _world()
    found = evaluate(qrels, {"chance": runs["chance"], "good": runs["good"]}, facts, ["nDCG@10", "RR"]).comparisons[0]
    assert set(found.slices) == {"kind", "language"} and set(found.slices["kind"]) == {"event", "temporal"}
    tests = [*found.measures, *found.slices["kind"].values()]
    assert [of.p_holm for of in tests] == pytest.approx(holm([of.p_value for of in tests]))
    assert found.slices["language"]["en"].p_holm == found.measures[0].p_holm, "all queries: no test of its own"


def test_the_interval_of_a_share_of_queries_is_wilsons() -> None:
    found = measured([1.0] * 10)
    assert found.mean == 1.0 and (found.low, found.high) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    assert measured([0.5, 1.0]) == mean([0.5, 1.0]) and measured([]).mean is None


def test_calibration_is_of_the_judged_pairs_that_have_a_score() -> None:
    qrels, runs, facts = _world(queries=200)
    found = evaluate(qrels, runs, facts).runs[1]
    assert found.calibration is not None and set(found.calibration.by_kind) == {"event", "temporal"}
    assert found.calibration.overall["isotonic"].ece < found.calibration.overall["raw"].ece + 0.05
    assert found.calibration.overall["raw"].pairs == 2000 and found.calibration.left_out == 0
    nothing = evaluate({"q": {"a": 1}}, {"run": {"q": {"a": 1.0}}}).runs[0]
    assert nothing.calibration is None and "both kinds" in nothing.calibration_note


def test_a_block_is_passed_on_both_sides_and_both_videos() -> None:
    blocks = [
        NuanceBlock("negated", "v", "q1", "n1"),
        NuanceBlock("reversed", "v", "q1", "t1"),
        NuanceBlock("negated", "v", "q2", "n2"),
        NuanceBlock("negated", "v", "q3", "n3"),
        NuanceBlock("reversed", "v", "q4", "t4", mirror="w"),
        NuanceBlock("reversed", "v", "q5", "t5", mirror="w"),
    ]
    run = {
        "q1": {"v": 2.0}, "n1": {"v": 1.0}, "t1": {"v": 2.0}, "mine": {"v": 5.0}, "n2": {"v": -1.0}, "q3": {"v": 1.0},
        "q4": {"v": 3.0, "w": 1.0}, "t4": {"v": 0.0, "w": 2.0}, "q5": {"v": 3.0, "w": 1.0}, "t5": {"v": 2.0, "w": 1.5},
    }  # fmt: skip
    facts = DatasetFacts({}, {"q2": ("mine",)}, blocks)
    found = evaluate({"q1": {"v": 1}}, {"run": run}, facts).runs[0].diagnostic
    assert found is not None and list(found.changes) == ["negated", "reversed", "all"]
    negated, turned, whole = found.changes.values()
    assert (negated.blocks, negated.scored, negated.passed, negated.rate) == (3, 2, 2, 1.0)
    assert negated.share_scored == pytest.approx(2 / 3) and negated.interval[0] == pytest.approx(0.342, abs=1e-3)
    assert (turned.blocks, turned.scored, turned.passed) == (3, 3, 2), "a tie is no pass"
    assert (turned.mirrored, turned.mirrored_passed) == (2, 1), "t5 must be higher on the video that answers it"
    assert turned.mirrored_interval[0] < 0.5 < turned.mirrored_interval[1]
    assert (whole.blocks, whole.scored, whole.passed) == (6, 5, 4) and whole.interval[0] < 4 / 5 < whole.interval[1]
    assert whole.text_alone is None, "the texts are not known"
    assert evaluate({"q1": {"v": 1}}, {"run": {"q1": {"v": 1.0}}}, facts).runs[0].diagnostic is None, "it was not asked"


def test_what_the_text_alone_tells_stands_beside_the_figure() -> None:
    blocks = [
        NuanceBlock("negated", f"v{n}", f"q{n}", f"n{n}", texts=(f"thing {n}", f"thing {n}, but not {n + 1}"))
        for n in range(40)
    ]
    run = {f"{side}{n}": {f"v{n}": float(side == "q")} for n in range(40) for side in "qn"}
    found = evaluate({"q1": {"v1": 1}}, {"run": run}, DatasetFacts({}, {}, blocks)).runs[0].diagnostic
    assert found is not None and found.changes["negated"].rate == 1.0 == found.changes["negated"].text_alone


def test_what_cannot_be_evaluated_is_told() -> None:
    with pytest.raises(UsageError, match="no query"):
        evaluate({}, {"run": {"q": {"a": 1.0}}})
    with pytest.raises(UsageError, match="no measure"):
        evaluate({"q": {"a": 1}}, {"run": {}}, measures=[])
    assert list(runs_by_name([("run", {}), ("run", {"q": {}}), ("run", {})])) == ["run", "run (2)", "run (3)"]


@pytest.mark.parametrize(
    ("qrels", "run", "message"),
    [
        ({"q": {"a": 1, "b": 0}}, {"q": {"a": float("nan"), "b": 1.0}}, "'q', document 'a': score nan is not a finite"),
        ({"q": {"a": 1}}, {"q": {"a": None}}, "score None is not a finite number"),
        ({"q": {"a": 10**10, "b": 0}}, {"q": {"a": 2.0}}, "grade 10000000000 is out of range"),
        ({"q": {"a": 0.5}}, {"q": {"a": 2.0}}, "grade 0.5 is not a whole number"),
        ({1: {"a": 1}}, {"q": {"a": 2.0}}, "ids as texts"),
        ({"q": {1: 1}}, {"q": {"a": 2.0}}, "the id is no text"),
        ({"q": {"a": 1}}, {"q": ["a"]}, "document id: score"),
    ],
)
def test_values_of_a_program_are_checked_as_a_file_is(qrels: object, run: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hardcut.evaluate(qrels, run)  # type: ignore[arg-type]


def test_values_of_numpy_are_numbers() -> None:
    run = {"q": {"a": np.float32(2), "b": np.int64(1)}}
    found = hardcut.evaluate({"q": {"a": np.int64(1), "b": True, "c": 0.0}}, run, measures=["P@2"])  # type: ignore[dict-item]
    assert found.runs[0].measures["P@2"].mean == 1.0
    with pytest.raises(UsageError, match="no run is given"):
        hardcut.evaluate({"q": {"a": 1}})


def test_the_page_shows_every_part_and_escapes_what_it_shows() -> None:
    qrels, runs, facts = _world()
    bad = QueryFacts("<script>alert(1)</script>", {"kind": "<b>", "language": "en"})
    facts = DatasetFacts({**facts.queries, "q000": bad}, blocks=[NuanceBlock("<i>", "v1", "q000", "q001")])
    found = evaluate(qrels, {"<i>": runs["chance"], "good": runs["good"]}, facts)
    text = render(found)
    assert "<script>" not in text and "<i>" not in text and "<b>&lt;" not in text
    for part in ("measures", "comparison", "slices", "calibration", "audits"):
        assert f'id="{part}"' in text
    each = versus(found, found.comparisons[0])
    assert len(each.steps) == 60 and each.won[0].difference >= each.won[-1].difference > 0 > each.lost[0].difference
    assert json.loads(found.model_dump_json())["queries"] == 60


def test_wins_and_losses_are_sorted_and_the_plot_is_bounded() -> None:
    qrels: Qrels = {f"q{n}": {"a": 1, "b": 0} for n in range(1000)}
    flat = {query: {"a": 1.0, "b": 0.0} for query in qrels}
    found = evaluate(qrels, {"a": flat, "b": flat}, measures=["RR"])
    each = versus(found, found.comparisons[0])
    assert not each.won and not each.lost and len(each.steps) == 400


def test_the_dataset_names_slices_and_blocks() -> None:
    """`read_facts` on rows as an export writes them."""

    class Rows:
        configs = ("queries", "diagnostic")

        def rows(self, config: str, columns: object = None) -> Iterable[tuple[str, dict[str, object]]]:
            hard = {"positive_rank": 2, "margin_gap": None, "modalities": 3, "spans": 1}
            if config == "queries":
                yield (
                    "test",
                    {
                        "query_id": "q_1", "external_id": "mine", "query": "a ball", "language": "en", "view": "user",
                        "kind": "temporal", "difficulty": hard,
                    },
                )  # fmt: skip
            else:
                one = {"query_id": "q_1", "query": "a ball", "kind": "event"}
                other = {"query_id": "q_2", "query": "no ball", "kind": "negation"}
                yield (
                    "test",
                    {"change": "negated", "video_id": "v", "answered": one, "unanswered": other, "mirror": None},
                )

    facts = read_facts(Rows())  # type: ignore[arg-type]
    assert facts.queries["mine"] is facts.queries["q_1"]
    assert facts.queries["q_1"].facets["first stage's rank of the positive"] == "2-3"
    assert facts.queries["q_1"].facets["modalities to look at"] == "3 or more"
    assert facts.blocks == [NuanceBlock("negated", "v", "q_1", "q_2", None, ("a ball", "no ball"), "test")]
    assert facts.queries["q_1"].split == "test"
    assert read_facts(Rows(), ("difficulty.spans",)).queries["q_1"].facets["difficulty.spans"] == "1"  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no 'spam' there, but margin_gap, modalities, positive_rank, spans"):
        read_facts(Rows(), ("difficulty.spam",))  # type: ignore[arg-type]
    assert facts.score({"mine": {"v": 0.5}}, "q_1", "v") == 0.5


def test_composed_queries_are_told_with_the_video_that_they_start_from() -> None:
    """And the same words from another video are no leak of training."""
    facts = DatasetFacts(
        {
            "same": QueryFacts("the same, but red", {"kind": "composed"}, "test", "v1"),
            "other": QueryFacts("The same, but red!", {"kind": "composed"}, "test", "v2"),
            "trained": QueryFacts("the same, but red", {"kind": "composed"}, "train", "v1"),
        }
    )
    found = evaluate({"same": {"a": 1}, "other": {"a": 1}}, {"one": {"same": {"a": 1.0}, "other": {"a": 1.0}}}, facts)
    assert found.leaked == ("same",)
    assert {row.query_id: row.reference for row in found.per_query} == {"same": "v1", "other": "v2"}
