"""Small cuts of each benchmark in its published form: figures equal to a computation of its own, on matrices."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.pipeline.evaluate_benchmark import evaluate_benchmark, write_asked
from hardcut.reranker.nuance.figures import BenchmarkFigures
from hardcut.reranker.nuance.files import csv_rows
from hardcut.reranker.nuance.known import BENCHMARKS, read_benchmark
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import format_run

Vectors = dict[str, Any]


def vectors(ids: Sequence[str], seed: int = 0) -> Vectors:
    """A unit vector for each id, as an embedder would give; no two scores are alike."""
    drawn = np.random.default_rng(seed).normal(size=(len(ids), 16))
    return dict(zip(ids, drawn / np.linalg.norm(drawn, axis=1, keepdims=True), strict=True))


def scored(name: str, files: Sequence[Path], of: Vectors, key: Callable[[Any], str] = str) -> dict[str, Any]:
    """The scores of all that a benchmark asks, by vectors of what its ids stand for."""
    benchmark = read_benchmark(name, files)
    run: dict[str, dict[str, float]] = {}
    for query, candidates in benchmark.needed:
        one = of[key(benchmark.queries[query])]
        for candidate in candidates:
            run.setdefault(query, {})[candidate] = float(one @ of[key(benchmark.candidates[candidate])])
    return run


def means(found: BenchmarkFigures) -> dict[str, dict[str, float]]:
    return {part.part: {name: value.mean or 0.0 for name, value in part.measures.items()} for part in found.parts}


def table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def average_precision(similarity: Any, relevant: Any) -> float:
    """Of one query: as scikit-learn computes it."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(relevant, similarity))


def hit(similarity: Any, relevant: Any, depth: int) -> float:
    return float(np.asarray(relevant)[np.argsort(-np.asarray(similarity))[:depth]].any())


# Chirality in Action


@pytest.fixture
def cia(tmp_path: Path) -> tuple[list[Path], list[list[str]], dict[str, list[str]]]:
    """Four actions, each both ways, with three to five videos; negation and composed lists as in the same file."""
    rng = random.Random(1)
    rows: list[list[str]] = []
    labels: dict[str, list[str]] = {}
    number = 100
    for action in ("12055391", "3f20f09b", "106d2603", "743faf6b"):
        for way in ("0.0", "1.0"):
            text = f"{action}_{way}"
            labels[text] = []
            rows.append([text, f"Doing {action} {way}", "time", "cia-ssv2", "text"])
            for _ in range(rng.randint(3, 5)):
                number += 1
                labels[text].append(str(number))
                labels[str(number)] = [text]
                rows.append([str(number), str(number), "time", "cia-ssv2", "video"])
    pictures = [f"coco/{at}.jpg" for at in range(9)]
    rows += [[each, each, "negation", "neg-coco", "image"] for each in pictures]
    for kind in ("standard", "negation"):
        for at, picture in enumerate(pictures):
            id = f"{kind} caption {at}"
            labels[id] = [picture]
            rows.append([id, f"a {kind} caption of {at}", "negation", "neg-coco", f"text-{kind}"])
    targets = [f"0_50/{at}" for at in range(7)]
    rows += [[each, each, "multimodal", "covr-webvid", "video"] for each in targets]
    for at, target in enumerate(targets):
        id = f"1_50/{at}|make it {at}"
        labels[id] = [target]
        value = str({"video": f"1_50/{at}", "text": f"make it {at}'s"})
        rows.append([id, value, "multimodal", "covr-webvid", "video-text"])
    random.Random(2).shuffle(rows)
    inputs = table(tmp_path / "inputs.csv", ("id", "value", "nuance", "source", "modality"), rows)
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return [inputs, tmp_path / "labels.json"], rows, labels


def test_cia_by_taras_definitions(cia: Any) -> None:
    files, rows, labels = cia
    ids = [row[0] for row in rows]
    value = {row[0]: row[1] for row in rows}
    of = vectors(ids)
    by_value = {str(asked): of[id] for id, asked in _asked_by_id(files).items()}
    assert len(by_value) == len(ids) and value
    [found] = evaluate_benchmark("cia", files, scored("cia", files, by_value))
    got = means(found)
    texts = [row[0] for row in rows if row[4] == "text"]
    videos = [row[0] for row in rows if row[4] == "video" and row[2] == "time"]

    def rivals(text: str, mode: str) -> list[str]:
        action, way = text.split("_")
        return [
            other for other in texts
            if other != text
            and (mode == "all" or (other.split("_")[0] == action if mode == "chiral" else other.split("_")[1] == way))
        ]  # fmt: skip

    for mode in ("chiral", "static", "all"):
        to_videos, to_texts = [], []
        for text in texts:
            others = [video for rival in rivals(text, mode) for video in labels[rival]]
            relevant = [1] * len(labels[text]) + [0] * len(others)
            to_videos.append(average_precision([of[text] @ of[v] for v in [*labels[text], *others]], relevant))
        for video in videos:
            [right] = labels[video]
            candidates = [right, *rivals(right, mode)]
            similarity = [of[video] @ of[each] for each in candidates]
            to_texts.append(hit(similarity, [1] + [0] * (len(candidates) - 1), 1))
        assert got[f"cia-ssv2 t2v {mode}"]["mAP"] == pytest.approx(np.mean(to_videos))
        assert got[f"cia-ssv2 v2t {mode}"]["R@1"] == pytest.approx(np.mean(to_texts))
    pictures = [row[0] for row in rows if row[4] == "image"]
    for kind in ("standard", "negation"):
        queries = [row[0] for row in rows if row[4] == f"text-{kind}"]
        hits = [hit([of[q] @ of[p] for p in pictures], [p in labels[q] for p in pictures], 5) for q in queries]
        assert got[f"neg-coco {kind}"]["R@5"] == pytest.approx(np.mean(hits))
    targets = [row[0] for row in rows if row[2] == "multimodal" and row[4] == "video"]
    queries = [row[0] for row in rows if row[4] == "video-text"]
    hits = [hit([of[q] @ of[t] for t in targets], [t in labels[q] for t in targets], 1) for q in queries]
    assert got["covr-webvid"]["R@1"] == pytest.approx(np.mean(hits))
    plain = {part.part for part in found.parts if part.plain}
    assert plain == {"cia-ssv2 t2v all", "cia-ssv2 v2t all", "neg-coco standard"}


def _asked_by_id(files: Sequence[Path]) -> dict[str, Any]:
    from urllib.parse import unquote

    return {unquote(id): asked for id, asked in read_benchmark("cia", files).queries.items()}


# RTime


def test_rtime_binary_and_retrieval(tmp_path: Path) -> None:
    told = {
        str(video): {
            "temporal": True,
            "forward_captions": [f"{video} goes up", f"{video} rises"],
            **({"reverse_captions": [f"{video} goes down"]} if video % 3 else {}),
            "forward_rewrites": ["not used"],
        }
        for video in range(12)
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps(told))
    known = read_benchmark("rtime", [path]).queries
    of = vectors([str(asked) for asked in known.values()])
    [found] = evaluate_benchmark("rtime", [path], scored("rtime", [path], of))
    got = means(found)
    vector = {id: of[str(asked)] for id, asked in known.items()}
    t2v, v2t = [], []
    for video in (str(each) for each in range(12) if each % 3):
        z = np.stack([vector[video], vector[f"{video}#reversed"]])
        t = np.stack([vector[f"{video}/0"], vector[f"{video}#reversed/0"]])
        similarity = z @ t.T
        t2v += [similarity[0, 0] > similarity[1, 0], similarity[1, 1] > similarity[0, 1]]
        v2t += [similarity[0, 0] > similarity[0, 1], similarity[1, 1] > similarity[1, 0]]
    assert got["binary t2v"]["accuracy"] == pytest.approx(np.mean(t2v))
    assert got["binary v2t"]["accuracy"] == pytest.approx(np.mean(v2t))
    videos = [str(each) for each in range(12)]
    hits = [
        hit([vector[f"{video}/{n}"] @ vector[other] for other in videos], [other == video for other in videos], 5)
        for video in videos
        for n in range(2)
    ]
    assert got["t2v origin"]["R@5"] == pytest.approx(np.mean(hits))
    every = [id for id in known if "/" not in id]
    hits = [
        hit(
            [vector[caption] @ vector[other] for other in every], [other == caption.split("/")[0] for other in every], 5
        )
        for caption in known
        if "/" in caption
    ]
    assert got["t2v hard"]["R@5"] == pytest.approx(np.mean(hits))


# NegBench


def test_negbench_retrieval_and_choices(tmp_path: Path) -> None:
    pictures = [f"/data/val2017/{at}.jpg" for at in range(20)]
    files = []
    for name in ("COCO_val_retrieval", "COCO_val_negated_retrieval"):
        rows = [
            [at, path, str([f"{name} of {at}, {n}" for n in range(1 + at % 3)])] for at, path in enumerate(pictures)
        ]
        files.append(table(tmp_path / f"{name}.csv", ("image_id", "filepath", "captions"), rows))
    kinds = ("affirmation", "negation", "hybrid")
    rows = [
        [path, *(f"choice {n} of {at}" for n in range(4)), at % 4, kinds[at % 3]] for at, path in enumerate(pictures)
    ]
    columns = ("image_path", *(f"caption_{n}" for n in range(4)), "correct_answer", "correct_answer_template")
    files.append(table(tmp_path / "COCO_val_mcq.csv", columns, rows))
    known = read_benchmark("negbench", files).queries
    of = vectors([str(asked) for asked in known.values()])
    [found] = evaluate_benchmark("negbench", files, scored("negbench", files, of))
    got = means(found)

    def text(said: str) -> Any:
        return of[f"Asked(text={said!r}, video=None)"]

    shown = np.stack([of[f"Asked(text=None, video={path!r})"] for path in pictures])
    for name in ("COCO_val_retrieval", "COCO_val_negated_retrieval"):
        hits = [
            hit(shown @ text(f"{name} of {at}, {n}"), np.arange(20) == at, 5)
            for at in range(20)
            for n in range(1 + at % 3)
        ]
        assert got[name]["R@5"] == pytest.approx(np.mean(hits))
    right = [int(np.argmax([shown[at] @ text(f"choice {n} of {at}") for n in range(4)])) == at % 4 for at in range(20)]
    assert got["COCO_val_mcq all"]["accuracy"] == pytest.approx(np.mean(right))
    for place, kind in enumerate(kinds):
        assert got[f"COCO_val_mcq {kind}"]["accuracy"] == pytest.approx(np.mean(right[place::3]))
    assert [part.plain for part in found.parts] == [True, False, False, False, False, False]


# Adverbs


def test_adverbs_by_their_antonyms(tmp_path: Path) -> None:
    antonyms = {"slowly": "quickly", "quickly": "slowly", "gently": "firmly"}
    rng = random.Random(4)
    rows = [[f"clip {at}", rng.choice(("cut", "stir")), rng.choice(list(antonyms))] for at in range(30)]
    files = [
        table(tmp_path / "annotations.csv", ("seg_id", "clustered_action", "clustered_adverb"), rows),
        table(tmp_path / "antonyms.csv", ("adverb", "antonym"), list(antonyms.items())),
    ]
    known = read_benchmark("adverbs", files).queries
    of = vectors(sorted({str(asked) for asked in known.values()}))
    [found] = evaluate_benchmark("adverbs", files, scored("adverbs", files, of))
    right = []
    for clip, action, adverb in rows:
        one, other = (
            of[f"Asked(text='The action {action} is performed {each}.', video=None)"]
            for each in (adverb, antonyms[adverb])
        )
        video = of[f"Asked(text=None, video={clip!r})"]
        right.append(video @ one > video @ other)
    assert means(found)["annotations"]["accuracy"] == pytest.approx(np.mean(right))


# WebVid-CoVR


def test_covr_recall_without_the_reference(tmp_path: Path) -> None:
    rng = random.Random(5)
    paths = [f"0{at}_50/{at}" for at in range(12)]
    rows = []
    for at in range(25):
        one, other = rng.sample(paths, 2)
        rows.append([one, other, "a", "b", f"make it {at}", "[0.1, 0.9]"])
    path = table(tmp_path / "webvid8m-covr_test.csv", ("pth1", "pth2", "txt1", "txt2", "edit", "scores"), rows)
    benchmark = read_benchmark("webvid-covr", [path])
    of = vectors([str(asked) for asked in (*benchmark.queries.values(), *benchmark.candidates.values())])
    [found] = evaluate_benchmark("webvid-covr", [path], scored("webvid-covr", [path], of))
    targets = sorted({row[1] for row in rows})
    for depth in (1, 5, 10):
        hits = []
        for row in rows:
            query = of[f"Asked(text={row[4]!r}, video={row[0]!r})"]
            similarity = [
                -10.0 if target == row[0] else float(query @ of[f"Asked(text=None, video={target!r})"])
                for target in targets
            ]
            hits.append(hit(similarity, [target == row[1] for target in targets], depth))
        assert means(found)["webvid8m-covr_test"][f"R@{depth}"] == pytest.approx(np.mean(hits))


# The way in


def test_what_is_asked_is_written_and_a_run_of_it_is_read(cia: Any, tmp_path: Path) -> None:
    files, _, _ = cia
    counts = write_asked("cia", files, tmp_path / "asked")
    lines = {
        name: [json.loads(line) for line in (tmp_path / "asked" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("queries", "candidates")
    }
    assert counts["queries.jsonl"] == len(lines["queries"])
    edited = [line for line in lines["queries"] if set(line) == {"id", "text", "video"}]
    assert len(edited) == 7 and all("%20" in line["id"] for line in edited)
    pairs = [line.split("\t") for line in (tmp_path / "asked" / "pairs.tsv").read_text().splitlines()]
    assert len(pairs) == len({tuple(pair) for pair in pairs}) == counts["pairs.tsv"]
    rng = random.Random(6)
    run: dict[str, dict[str, float]] = {}
    for query, candidate in pairs:
        run.setdefault(query, {})[candidate] = rng.random()
    path = tmp_path / "scores.trec"
    path.write_text("".join(format_run(run, "scores")))
    [by_file], [by_value] = evaluate_benchmark("cia", files, path), evaluate_benchmark("cia", files, run)
    assert by_file.parts == by_value.parts and by_file.run == "scores"
    assert not any(part.lacking for part in by_file.parts)


def test_what_is_not_scored_comes_last_and_is_counted(tmp_path: Path) -> None:
    rows = [["a/1", "b/1", "make it red"], ["a/2", "b/2", "make it blue"]]
    path = table(tmp_path / "test.csv", ("pth1", "pth2", "edit"), rows)
    one, other = read_benchmark("webvid-covr", [path]).queries
    [found] = evaluate_benchmark("webvid-covr", [path], {one: {"b/2": 0.9}})
    assert (found.parts[0].measures["R@1"].mean, found.parts[0].lacking) == (0.0, 3)
    [found] = evaluate_benchmark("webvid-covr", [path], {one: {"b/1": 0.1}, other: {"b/2": 0.5, "b/1": 0.5}})
    assert found.parts[0].measures["R@1"].mean == 1.0, "a tie goes to the highest id"


def test_a_tie_is_no_right_choice(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"1": {"forward_captions": ["up"], "reverse_captions": ["down"]}}))
    run = {query: {"1": 0.5, "1#reversed": 0.5} for query in ("1/0", "1#reversed/0")}
    [found] = evaluate_benchmark("rtime", [path], run)
    assert means(found)["binary t2v"]["accuracy"] == 0.0


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        ("cia", {"a.csv": "id,value\n"}, "takes one .json file"),
        ("cia", {"a.csv": "id,value\n1,2\n", "b.json": "{}"}, "line 1: no column 'nuance'"),
        (
            "cia",
            {"a.csv": "id,value,nuance,source,modality\nx,y,time,s,text\n", "b.json": "{}"},
            "does not end in _0.0",
        ),
        ("cia", {"a.csv": "id,value,nuance,source,modality\nx_0.0,y,time,s,text\n", "b.json": "{}"}, "no labels of"),
        ("rtime", {"a.json": '{"1": {"forward_captions": [3]}}'}, "forward_captions of '1' is not a list of texts"),
        ("rtime", {"a.json": "{}"}, "there is nothing to measure"),
        ("negbench", {"a.csv": "filepath,captions\nx,__import__('os')\n"}, "line 2: .* is no Python list"),
        ("negbench", {"a.csv": "image_path,caption_0,correct_answer\nx,y,3\n"}, "line 2: correct_answer is '3'"),
        ("adverbs", {"a.csv": "adverb,antonym\nslowly,quickly\n"}, "takes two .csv files"),
        (
            "adverbs",
            {"a.csv": "adverb,antonym\nslowly,quickly\n", "b.csv": "seg_id,action,adverb\n1,cut,oddly\n"},
            "line 2: a.csv has no antonym of 'oddly'",
        ),
        ("webvid-covr", {"a.csv": "pth1,pth2,edit\na,b,\n"}, "line 2: it has no edit"),
        ("webvid-covr", {"a.csv": "pth1,pth2,edit\na,b\n"}, "line 2: another number of columns"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(tmp_path: Path, name: str, files: dict[str, str], told: str) -> None:
    for file, body in files.items():
        (tmp_path / file).write_text(body)
    with pytest.raises(UsageError, match=told):
        read_benchmark(name, [tmp_path / file for file in files])


def test_an_unknown_benchmark_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'negbench'"):
        read_benchmark("negbanch", [])
    assert set(BENCHMARKS) == {"adverbs", "cia", "negbench", "rtime", "webvid-covr"}


def test_a_large_cell_is_read_and_the_limit_of_others_stays(tmp_path: Path) -> None:
    usual = csv.field_size_limit()
    (tmp_path / "large.csv").write_text(f"a,b\n1,{'x' * (usual + 1)}\n")
    [(where, row)] = csv_rows(tmp_path / "large.csv", ["a", "b"])
    assert where.endswith("line 2") and len(row["b"]) == usual + 1
    assert csv.field_size_limit() == usual
