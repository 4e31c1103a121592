"""Formats of others, out and in: the published layouts with their oddities, and broken files told by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import export
from hardcut.publish.formats.given import COMPOSED
from hardcut.publish.formats.imported import write_import
from hardcut.publish.formats.registry import EXPORTERS, IMPORTERS, WITH_REFERENCE, convert, read
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.trec import read_qrels, read_run
from hardcut.synth.user_queries import read_queries

SETTINGS = Settings(export=ExportSettings(licence="cc0-1.0", train=0.6, validation=0.2))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make: Any, write_run: Callable[..., Path]) -> Dataset:
    """12 videos with speech, a query each and one of the user's own, with a graded judgment by a person."""
    from hardcut.schemas.records import Evidence, Span

    folder = tmp_path_factory.mktemp("formats")
    records: list[Any] = []
    for i in range(12):
        query = make.query(f"a thing that {'abcdefghijkl'[i] * 9} does in video {i * 7919}", f"v{i}")
        said = {"video_id": f"v{i}", "kind": "speech", "extractor": "srt"}
        records += [make.video(f"v{i}", licence="CC0-1.0"), query, make.caption(f"v{i}", f"Caption of video {i}.")]
        records.append(Evidence.create(text=f"world {i}", span=Span(start=2, end=3), **said))
        records.append(Evidence.create(text="hello", span=Span(start=0, end=1), **said))
        for step in range(4):
            pair = make.pair(query, f"v{(i + step) % 12}")
            label = make.label(pair, "no" if step else "yes", -5.0 - step if step else 5.0, reasoning=f"since {step}")
            records += [pair, label, make.judgment(pair, int(not step), label)]
    own = make.query("something of the user's own", external_id="U 1".replace(" ", "-"))
    pairs = [make.pair(own, f"v{i}") for i in (0, 1)]
    records += [own, *pairs, make.judgment(pairs[0], 2), make.judgment(pairs[1], 0)]
    return Dataset(export(write_run(folder / "run", records), folder / "dataset", SETTINGS).out)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rankvideo_round_trip(dataset: Dataset, tmp_path: Path) -> None:
    counts = convert(dataset, "rankvideo", tmp_path / "out").rows
    files = sorted((tmp_path / "out").glob("*.json*"))
    rows = [row for path in files if path.suffix == ".jsonl" for row in lines(path)]
    assert len(rows) == dataset.count("pairs") == sum(n for name, n in counts.items() if name.endswith(".jsonl"))
    read_by_its_script = {"query_id", "query", "doc_id", "videos", "true_label", "teacher_p_yes"}
    for row in rows:
        assert set(row) == {*read_by_its_script, "evidence", "teacher_reasoning"}
        assert isinstance(row["videos"], list) and row["videos"] == [f"{row['doc_id']}.mp4"]
        assert row["evidence"]["asr"].startswith("hello world") and row["evidence"]["caption"]

    assert counts["train.bm25.first_stage.json"] == counts["train.jsonl"]
    done = write_import(read("rankvideo", files), tmp_path / "in")
    assert not done.skipped
    names = {row["query_id"]: row["external_id"] or row["query_id"] for _, row in dataset.rows("queries")}
    ours = {
        (names[row["query_id"]], row["query"], row["video_id"], row["label"], row["p_yes"], row["reasoning"])
        for _, row in dataset.rows("pairs")
    }
    texts = {row["query_id"]: row["query"] for row in lines(tmp_path / "in" / "queries.jsonl")}
    back = {
        (row["query_id"], texts[row["query_id"]], row["video_id"], row["grade"], row.get("teacher_p_yes"),
         row.get("teacher_reasoning"))
        for row in lines(tmp_path / "in" / "judgments.jsonl")
    }  # fmt: skip
    assert back == ours and 2 in done.grades
    first = {
        (names[row["query_id"]], row["video_id"]): row["first_stage"][0]["score"] for _, row in dataset.rows("pairs")
    }
    scores = read_run(tmp_path / "in" / "first_stage.trec").scores
    assert {(query, video): score for query, hits in scores.items() for video, score in hits.items()} == first


def test_trec_out_and_in(dataset: Dataset, tmp_path: Path) -> None:
    counts = convert(dataset, "trec", tmp_path / "out").rows
    assert {"train.qrels", "train.queries.tsv", "train.bm25.run", "train.teacher.run"} <= set(counts)
    qrels = {split: read_qrels(tmp_path / "out" / f"{split}.qrels") for split in dataset.splits("pairs")}
    assert sum(len(docs) for split in qrels.values() for docs in split.values()) == dataset.count("pairs")
    assert next(docs for split in qrels.values() for query, docs in split.items() if query == "U-1")["v0"] == 2
    files = sorted((tmp_path / "out").glob("train.*"))
    files.remove(tmp_path / "out" / "train.teacher.run")
    done = write_import(read("trec", files), tmp_path / "in")
    assert done.judgments == dataset.count("pairs", "train") and not done.skipped
    assert read_qrels(tmp_path / "in" / "qrels.txt") == qrels["train"]


def odd_dataset(tmp_path: Path, make: Any, write_run: Callable[..., Path]) -> Dataset:
    """Names that formats cannot hold, and two first stages that put forward one half of the pairs each."""
    from hardcut.schemas.records import FirstStage, Pair

    records: list[Any] = []
    for i in range(6):
        video_id = f"été {i}/b%" if i else "plain"
        text, external_id = f"a thing that {'abcdef'[i] * 9} does {i * 7919}", f"my query {i}" if i else "q0"
        query = make.query(text, external_id=external_id)
        records += [make.video(video_id, licence="CC0-1.0"), query]
        for name, grade in (("teacher", 1), ("a b", 0)) if i else (("teacher", 1),):
            ranks = (FirstStage(run=name, rank=1, score=7.5 if grade else 0.5),)
            given = {"query_id": query.query_id, "video_id": video_id if grade else "plain", "origins": ("imported",)}
            pair = Pair.create(**given, expected="unknown", first_stage=ranks)
            label = make.label(pair, "yes" if grade else "no", 5.0 if grade else -8.0)
            records += [pair, label, make.judgment(pair, grade, label)]
    settings = Settings(export=ExportSettings(licence="cc0-1.0", train=1, validation=0))
    return Dataset(export(write_run(tmp_path / "odd run", records), tmp_path / "odd", settings).out)


def test_trec_holds_ids_with_white_space_and_runs_of_any_name(
    tmp_path: Path, make: Any, write_run: Callable[..., Path]
) -> None:
    dataset = odd_dataset(tmp_path, make, write_run)
    counts = convert(dataset, "trec", tmp_path / "out").rows
    named = dict(line.split("\t")[::-1] for line in (tmp_path / "out" / "renamed.txt").read_text().splitlines())
    assert named["été 1/b%"] == "été%201/b%25" and named["my query 1"] == "my%20query%201" and len(named) == 10
    qrels = read_qrels(tmp_path / "out" / "train.qrels")
    assert sum(map(len, qrels.values())) == dataset.count("pairs") == 11 and qrels["q0"] == {"plain": 1}
    runs = {name: read_run(tmp_path / "out" / name).scores for name in counts if name.endswith(".run")}
    sizes = sorted((name.split(".")[1].split("-")[0], sum(map(len, run.values()))) for name, run in runs.items())
    assert sizes == [("a", 5), ("teacher", 6), ("teacher", 11)], "a first stage called teacher is not the teacher"
    first_stage = next(name for name in counts if name.startswith("train.a-b-"))
    files = ["renamed.txt", "train.qrels", "train.queries.tsv", first_stage]
    found = read("trec", [tmp_path / "out" / name for name in files])
    want = {(row["query_id"], row["video_id"]): row["label"] for _, row in dataset.rows("pairs")}
    public = {id: row["external_id"] for _, row in dataset.rows("queries") for id in (row["query_id"],)}
    got = {pair: judgment.grade for pair, [judgment] in found.judgments.items()}
    assert got == {(public[query], video): grade for (query, video), grade in want.items()}
    assert set(found.queries) == set(public.values()) and found.first_stage["my query 1"] == {"plain": 0.5}


def test_an_imported_first_stage_keeps_its_name(tmp_path: Path) -> None:
    queries = write(tmp_path / "q.tsv", "#Query-ID\tquery\n1\ta ball\u2028rolls\n")
    run = write(tmp_path / "a.run", "1 Q0 v2 1 9.5 bm25\n")
    done = write_import(read("trec", [queries, run]), tmp_path / "in")
    assert (done.queries, done.first_stage) == (1, 1) and lines(tmp_path / "in" / "queries.jsonl") == [
        {"query_id": "1", "query": "a ball rolls"}
    ]
    assert read_run(tmp_path / "in" / "first_stage.trec").tag == "bm25"


def test_first_stages_are_never_mixed(tmp_path: Path, make: Any, write_run: Callable[..., Path]) -> None:
    dataset = odd_dataset(tmp_path, make, write_run)
    convert(dataset, "rankvideo", tmp_path / "rv")
    stages = sorted((tmp_path / "rv").glob("*.first_stage.json"))
    assert [len(lines(path)[0]) for path in stages] == [5, 6], "one of the runs has no line for q0"
    pairs = tmp_path / "rv" / "train.jsonl"
    with pytest.raises(UsageError, match="one first stage at a time"):
        read("rankvideo", [pairs, *stages])
    done = write_import(read("rankvideo", [pairs, stages[0]]), tmp_path / "in")
    assert done.judgments == 11 and done.first_stage == 0, "TREC holds none of these ids"
    assert done.skipped == {"not_in_first_stage": 5, "not_in_qrels": 10}
    paths = {row["video_id"]: row["path"] for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert paths["été 1/b%"] == "été 1/b%.mp4"

    runs = [write(tmp_path / name, f"1 Q0 v1 1 {score} {tag}\n") for name, score, tag in (("a", 9, "x"), ("b", 3, "y"))]
    with pytest.raises(UsageError, match="first stage 'y' beside 'x'"):
        read("trec", runs)
    scored = [write(tmp_path / f"{n}.json", json.dumps({"1": {"v": n}})) for n in (1, 2)]
    with pytest.raises(UsageError, match="another score before"):
        read("rankvideo", scored)


def test_sentence_transformers_columns(dataset: Dataset, tmp_path: Path) -> None:
    counts = convert(dataset, "sentence-transformers", tmp_path / "out").rows
    group = lines(tmp_path / "out" / "train.groups.jsonl")[0]
    assert list(group) == ["query", "positive", "negative_1", "negative_2"]
    pair = lines(tmp_path / "out" / "train.pairs.jsonl")[0]
    assert list(pair) == ["query", "video", "label"] and pair["label"] in (0.0, 1.0)
    margins = lines(tmp_path / "out" / "train.margins.jsonl")
    assert list(margins[0]) == ["query", "video", "score"], "a second column of labels would be taken for an input"
    assert 0 < len(margins) == counts["train.margins.jsonl"] and all(row["score"] is not None for row in margins)
    listed = lines(tmp_path / "out" / "train.lists.jsonl")
    assert sum(len(row["docs"]) for row in listed) == counts["train.pairs.jsonl"] == dataset.count("pairs", "train")
    assert all(len(row["docs"]) == len(row["labels"]) for row in listed)
    videos = [group["positive"], group["negative_1"], pair["video"], margins[0]["video"], *listed[0]["docs"]]
    assert all(list(video) == ["video"] for video in videos), "a bare path is a text, unless the file lies there"


def test_composed_queries_are_left_out_of_every_format_and_counted(
    tmp_path: Path, make: Any, write_run: Callable[..., Path]
) -> None:
    """What is "the same, but from behind" says nothing without the video that it starts from."""
    records: list[Any] = [make.video(f"v{i}", licence="CC0-1.0") for i in range(4)]
    records += [make.caption(f"v{i}") for i in range(4)]
    plain = [make.query(f"plain query number {i * 7919} {'abcd'[i] * 9}", f"v{i}") for i in range(4)]
    told = make.query("the same, but from behind", "v1", kind="composed", reference_video_id="v0")
    for query in (*plain, told):
        for at in range(4):
            pair = make.pair(query, f"v{at}")
            records += [pair, make.judgment(pair, int(f"v{at}" == query.source_video_id))]
    dataset = Dataset(export(write_run(tmp_path / "run", [*records, *plain, told]), tmp_path / "dataset", SETTINGS).out)
    assert dataset.count("queries") == 5
    for name in EXPORTERS.keys() - WITH_REFERENCE:
        written = convert(dataset, name, tmp_path / name)
        assert written.left_out[COMPOSED] == 1
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        texts = "".join(path.read_text("utf-8") for path in files)
        assert "from behind" not in texts and told.query_id not in texts and "plain query number 7919" in texts
        for file, count in written.rows.items():
            if file.endswith(".jsonl"):
                assert len(lines(tmp_path / name / file)) == count, file


def test_tevatron_files(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, "tevatron", tmp_path / "out")
    corpus = {row["docid"]: row for row in lines(tmp_path / "out" / "corpus.jsonl")}
    assert len(corpus) == 12 and corpus["v3"]["video"] == "v3.mp4"
    assert not any(row["text"] for row in corpus.values()), "it is encoded beside the video, and no video has a caption"
    rows = lines(tmp_path / "out" / "train.jsonl")
    assert rows and all(row["positive_document_ids"] and row["negative_document_ids"] for row in rows)
    named = {id for row in rows for key in ("positive_document_ids", "negative_document_ids") for id in row[key]}
    assert named <= set(corpus) and set(rows[0]) >= {"query_id", "query_text"}
    asked = {row["query_id"]: row["query_text"] for row in lines(tmp_path / "out" / "train.queries.jsonl")}
    assert len(asked) == dataset.count("queries", "train")
    assert all(asked[row["query_id"]] == row["query_text"] for row in rows)


def test_a_format_goes_to_a_new_folder_and_unknown_ones_are_told(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'trec'"):
        convert(dataset, "tre", tmp_path / "x")
    with pytest.raises(UsageError, match="not an empty folder"):
        convert(dataset, "trec", dataset.folder)
    with pytest.raises(UsageError, match=r"there are: .*msrvtt"):
        read("vatican", [])
    assert not (tmp_path / "x").exists()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_multivent_keeps_grades_and_splits_and_takes_numbers(tmp_path: Path) -> None:
    queries = write(
        tmp_path / "train_queries.csv", 'Query_id,query\n7,flood in the old town\nq8,"fire, at night"\n9,\n'
    )
    judged = [
        {"query_id": 7, "doc_id": 1001, "relevance": 3},
        {"query_id": "7", "doc_id": "1002", "relevance": 1},
        {"query_id": "q8", "doc_id": 1001, "relevance": 0},
        *[{"query_id": 7, "doc_id": 1003, "relevance": grade} for grade in (2, 2, 0)],
        *[{"query_id": "q8", "doc_id": 1003, "relevance": grade} for grade in (1, 0)],
        {"query_id": "none", "doc_id": 1001, "relevance": 1},
    ]
    judgments = write(tmp_path / "train_judgments.jsonl", "".join(json.dumps(row) + "\n" for row in judged))
    ids = write(tmp_path / "train_ids.csv", "video_id\n1001\n1004\n")
    videos = tmp_path / "videos"
    (videos / "000").mkdir(parents=True)
    for name in ("1001.mp4", "1002.mkv", "1003.mp4", "1004.m4a"):
        (videos / "000" / name).touch()
    done = write_import(read("multivent", [queries, judgments, ids]), tmp_path / "in", videos)
    assert done.grades == {0: 1, 1: 1, 2: 1, 3: 1}
    assert done.skipped == {"no_text": 1, "annotators_disagree": 1, "no_query": 1, "no_file": 1}
    manifest = {row["video_id"]: row for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert manifest["1002"] == {"path": "000/1002.mkv", "video_id": "1002", "split": "train"}
    found = {(row["query_id"], row["video_id"]): row for row in lines(tmp_path / "in" / "judgments.jsonl")}
    assert [rating["grade"] for rating in found["7", "1003"]["ratings"]] == [2, 2, 0]
    assert read_qrels(tmp_path / "in" / "qrels.txt")["7"] == {"1001": 3, "1002": 1, "1003": 2}


def test_ids_mean_files_by_path_by_name_and_with_or_without_their_ending(tmp_path: Path) -> None:
    names = (
        "a/clip.mov",
        "b/clip.mkv",
        "one.MPG",
        "x.mp4",
        "x.wmv",
        "old/two.3gp",
        "old/three.mts",
        "deep/four.ts",
    )
    for name in names:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).touch()
    ids = ["clip", "b/clip", "one", "x.mp4", "x", "two", "old/three.mts", "four.ts", "five"]
    qrels = write(tmp_path / "qrels", "".join(f"q 0 {id} 1\n" for id in ids))
    queries = write(tmp_path / "queries.tsv", "q\ta query\n")
    done = write_import(read("trec", [qrels, queries]), tmp_path / "in", tmp_path / "videos")
    found = {row["video_id"]: row["path"] for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert found == {
        "b/clip": "b/clip.mkv", "one": "one.MPG", "x.mp4": "x.mp4", "two": "old/two.3gp",
        "old/three.mts": "old/three.mts", "four.ts": "deep/four.ts",
    }  # fmt: skip
    assert done.skipped["ambiguous_file"] == 2 and done.skipped["no_file"] == 1
    told = {row["item"]: row["detail"] for row in lines(tmp_path / "in" / "skipped.jsonl")}
    assert "a/clip.mov, b/clip.mkv" in told["clip"] and "x.mp4, x.wmv" in told["x"]


def test_multivent_tells_queries_from_ids_and_splits_from_names(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "000.tar").touch()
    queries = write(tmp_path / "valley_queries.csv", 'Query_id,"query",language\n7,flood,en\n')
    ids = write(tmp_path / "train_ids.csv", "abcdefgHIJK\n1001\n")
    held_out = write(tmp_path / "test_ids.csv", "doc_id\n1001\n")
    found = read("multivent", [queries, held_out, ids])
    assert found.queries == {"7": {"query_id": "7", "query": "flood", "language": "en"}}
    tested = write(tmp_path / "test_queries.csv", "Query_id,query\n8,fire\n")
    write_import(read("multivent", [tested, held_out]), tmp_path / "in")
    packed = read("multivent", [tested, held_out])
    with pytest.raises(UsageError, match="no video found"):
        write_import(packed, tmp_path / "tars", tmp_path / "videos")
    assert packed.skipped[-1].detail == "no file of this name in videos: unpack its .tar files first"
    (query,) = read_queries(tmp_path / "in" / "queries.jsonl")
    assert (query.external_id, query.split) == ("8", "test"), "as a run reads it"
    assert found.videos == {"1001": {"split": "test"}, "abcdefgHIJK": {"split": "train"}}
    (told,) = found.skipped
    assert (told.reason, told.detail) == ("two_splits", "video 1001 is in test and in train: test it is")


def test_msrvtt_json_and_1ka(tmp_path: Path) -> None:
    whole = {
        "info": {"year": "2016"},
        "videos": [
            {"category": 9, "url": "https://u/?v=a", "video_id": "video0", "start time": 137.72, "end time": 149.44,
             "split": "train", "id": 0},
            {"category": 1, "url": "https://u/watch?v=b", "video_id": "video1", "split": "validate", "id": 1},
        ],
        "sentences": [
            {"caption": "a car is shown", "video_id": "video0", "sen_id": 0},
            {"caption": "in a race a car wins", "video_id": "video0", "sen_id": 1},
            {"caption": "a  car is shown", "video_id": "video0", "sen_id": 2},
            {"caption": "a man cooks", "video_id": "video1", "sen_id": 3},
        ],
    }  # fmt: skip
    path = write(tmp_path / "train_val_videodatainfo.json", json.dumps(whole))
    done = write_import(read("msrvtt", [path]), tmp_path / "in")
    assert (done.queries, done.videos, done.judgments, done.skipped) == (3, 2, 3, {"repeated": 1})
    manifest = {row["video_id"]: row for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert manifest["video0"]["split"] == "train" and manifest["video0"]["category"] == 9
    assert manifest["video0"]["captions"] == ["a car is shown", "in a race a car wins"]

    csv = write(tmp_path / "1ka.csv", 'key,vid_key,video_id,sentence\nret0,msr9770,video9770,"a person, connecting"\n')
    assert write_import(read("msrvtt", [csv]), tmp_path / "in2").judgments == 1
    assert [row["split"] for row in lines(tmp_path / "in2" / "manifest.jsonl")] == ["test"]


def test_qvhighlights_keeps_moments_and_every_annotator(tmp_path: Path) -> None:
    rows = [
        {"qid": 8737, "query": "A family plays basketball.", "duration": 126, "vid": "bP5Kf_JzC4_660.0_810.0",
         "relevant_windows": [[0, 4]], "relevant_clip_ids": [0, 1], "saliency_scores": [[4, 1, 1], [4, 2, 1]]},
        {"qid": 2, "query": "Someone waves.", "duration": 150, "vid": "bP5Kf_JzC4_60.0_210.0"},
    ]  # fmt: skip
    path = write(tmp_path / "highlight_val_release.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    done = write_import(read("qvhighlights", [path]), tmp_path / "in")
    assert (done.queries, done.videos, done.judgments, done.skipped) == (2, 2, 1, {"no_judgment": 1})
    (judged,) = lines(tmp_path / "in" / "judgments.jsonl")
    assert judged["query_id"] == "8737" and judged["spans"] == [{"start": 0.0, "end": 4.0}]
    grades = [(rating["annotator"], rating["grade"], rating["span"]["start"]) for rating in judged["ratings"]]
    assert grades == [("1", 4, 0.0), ("2", 1, 0.0), ("3", 1, 0.0), ("1", 4, 2.0), ("2", 2, 2.0), ("3", 1, 2.0)]
    sources = {row["source"] for row in lines(tmp_path / "in" / "manifest.jsonl")}
    for file in ("manifest.jsonl", "queries.jsonl"):
        assert {row["split"] for row in lines(tmp_path / "in" / file)} == {"validation"}
    assert sources == {"bP5Kf_JzC4"}, "both clips are of one video, so that no split parts them"


def test_rankvideo_of_others(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"query_id": 1, "query": "guitar", "doc_id": 5, "videos": ["/x/5.mp4"], "true_label": 1, "teacher_p_yes": 0.85},
        {"query_id": 1, "query": "guitar", "doc_id": 6, "teacher_label": 0, "evidence": {"caption": "c", "asr": ""}},
        {"query_id": 1, "query": "guitar", "doc_id": 7, "evidence": None, "teacher_reasoning": "because"},
        {"query_id": 1, "query": "guitar", "doc_id": 8, "true_label": None, "teacher_label": 1, "videos": ["a/8.webm"]},
    ]
    path = write(tmp_path / "training_data.json", "".join(json.dumps(row) + "\n" for row in rows))
    first = write(tmp_path / "first.json", json.dumps({"1": {"5": 0.9, "8": 1}}))
    asked = write(tmp_path / "queries.tsv", 'query_id\tquery_text\n1\tguitar\n2\t"so" said\n')
    done = write_import(read("rankvideo", [path, first, asked]), tmp_path / "in")
    assert [row["query"] for row in lines(tmp_path / "in" / "queries.jsonl")] == ["guitar", '"so" said']
    assert (done.videos, done.judgments, done.first_stage) == (4, 3, 2) and done.skipped == {"no_judgment": 1}
    paths = {row["video_id"]: row["path"] for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert paths["5"] == "5.mp4" and paths["8"] == "a/8.webm", "a path of another machine is no path in the collection"


def test_trec_keeps_negative_grades_and_reports_what_has_no_text(tmp_path: Path) -> None:
    qrels = write(tmp_path / "a.qrels", "1 0 v1 -2\n1 0 v2 3\n2 0 v1 1\n")
    queries = write(tmp_path / "q.tsv", "1\ta ball rolls\n")
    run = write(tmp_path / "a.run", "1 Q0 v2 1 9.5 bm25\n1 Q0 v3 2 -1 bm25\n3 Q0 v3 1 4 bm25\n")
    done = write_import(read("trec", [qrels, queries, run]), tmp_path / "in")
    assert done.grades == {-2: 1, 3: 1} and done.skipped == {"no_query": 2} and done.videos == 3


BROKEN = [
    ("multivent", "a_queries.csv", "Query_id,query\n7,flood\n7,fire\n", "line 3: query 7 has another text before"),
    ("multivent", "a_queries.csv", "Query,query\n7,flood\n", "line 1: no column 'Query_id'"),
    ("multivent", "a.jsonl", '{"query_id": 1, "doc_id": 2, "relevance": 0.5}\n', "line 1: the judgment 0.5 is not"),
    ("multivent", "a.jsonl", '{"query_id": 1, "doc_id": 2}\n', "line 1: no field 'relevance'"),
    ("multivent", "a.jsonl", '{"query_id": 1, "doc_id": true, "relevance": 1}\n', "line 1: the video's id is True"),
    ("multivent", "a.txt", "", "neither a .csv"),
    ("msrvtt", "a.json", '{"videos": [],\n "sentences": [}\n', "line 2: not JSON"),
    ("msrvtt", "a.json", '{"videos": [{"id": 1}], "sentences": []}', r"videos\[0\]: no field 'video_id'"),
    ("msrvtt", "a.json", '{"videos": 3, "sentences": []}', "'videos' is not a list"),
    ("msrvtt", "a.csv", "key,vid_key,video_id,sentence\nret0,msr1\n", "line 2: another number of columns"),
    ("qvhighlights", "a.jsonl", '{"qid": 1, "query": "x"}\n', "line 1: no field 'vid'"),
    ("qvhighlights", "a.jsonl", '{"qid": 1, "query": "x", "vid": "v", "relevant_windows": [[4, 1]]}\n', "the window"),
    (
        "qvhighlights", "a.jsonl",
        '{"qid": 1, "query": "x", "vid": "v", "relevant_windows": [[0, 2]], "relevant_clip_ids": [0]}\n',
        "line 1: 1 relevant_clip_ids and 0 saliency_scores",
    ),
    ("qvhighlights", "a.jsonl", '\n{"qid": 1,\n', "line 2: not a JSON object"),
    ("rankvideo", "a.jsonl", '{"query_id": 1, "query": "x"}\n', "line 1: no field 'doc_id'"),
    ("rankvideo", "a.json", '{"1": {"v": "high"}}', "query 1, video v: the score 'high' is not a number"),
    ("trec", "a.qrels", "1 0 v1 1\n1 0 v2 yes\n", "line 2: grade 'yes' is not a whole number"),
    ("trec", "a.run", "1 Q0 v1 1 nan x\n", "line 1: score 'nan' is not finite"),
    ("trec", "a.tsv", "1 no tab\n", "line 1: no tab between id and text"),
    ("trec", "a.txt", "1 2 3\n", "line 1: 3 columns"),
]  # fmt: skip


@pytest.mark.parametrize("name, file, text, message", BROKEN)
def test_a_broken_file_is_told_by_line(tmp_path: Path, name: str, file: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(name, [write(tmp_path / file, text)])


SOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "multivent": ("a.jsonl", {"query_id": 1, "doc_id": 2, "relevance": 1}),
    "qvhighlights": (
        "a.jsonl",
        {"qid": 1, "query": "x", "duration": 9, "vid": "v", "relevant_windows": [[0, 2]], "relevant_clip_ids": [0],
         "saliency_scores": [[1, 2, 3]]},
    ),
    "rankvideo": (
        "a.jsonl",
        {"query_id": 1, "query": "x", "doc_id": 5, "videos": ["x"], "true_label": 1, "teacher_p_yes": 0.5,
         "evidence": {"caption": "c"}, "teacher_reasoning": "r"},
    ),
    "msrvtt": (
        "a.json",
        {"videos": [{"video_id": "v", "split": "train"}],
         "sentences": [{"caption": "a", "video_id": "v", "sen_id": 0}]},
    ),
}  # fmt: skip
ODD = [
    None,
    True,
    -1,
    1.5,
    float("nan"),
    "",
    "\ud800",
    "..",
    [],
    [[]],
    {},
    [None],
    "9" * 5000,
    10**30,
    10**400,
    -(10**400),
    [[0, 1], 2],
]


@pytest.mark.parametrize("name", SOUND)
def test_no_value_of_a_field_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    file, row = SOUND[name]
    done = 0
    for key in row:
        for odd in ODD:
            values = [odd] if name != "msrvtt" else [odd, [odd], [{**row[key][0], "video_id": odd}]]
            for value in values:
                done += 1
                path = write(tmp_path / file, json.dumps({**row, key: value}))
                try:
                    write_import(read(name, [path]), tmp_path / f"out {done}")
                except UsageError as error:
                    assert file in str(error) or name in str(error)


@pytest.mark.parametrize("name", IMPORTERS)
@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"1" * 6_000, b"a" * 200_000, b'{"a":' * 50_000])
def test_no_file_ends_in_a_traceback(tmp_path: Path, name: str, content: bytes) -> None:
    for suffix in (".jsonl", ".json", ".csv", ".tsv", ".txt"):
        (tmp_path / f"a{suffix}").write_bytes(content)
        with pytest.raises(UsageError, match=f"a\\{suffix}|no query|no video"):
            write_import(read(name, [tmp_path / f"a{suffix}"]), tmp_path / f"out{suffix}")


@pytest.mark.parametrize("name", IMPORTERS)
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    for suffix in (".jsonl", ".json", ".csv", ".tsv"):
        with pytest.raises(UsageError):
            read(name, [tmp_path / f"gone{suffix}"])


def test_nothing_is_overwritten_and_nothing_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "mine").touch()
    path = write(tmp_path / "q.tsv", "1\ta ball rolls\n")
    qrels = write(tmp_path / "a.qrels", "1 0 v1 1\n")
    with pytest.raises(UsageError, match="not an empty folder"):
        write_import(read("trec", [path, qrels]), tmp_path / "in")
    with pytest.raises(UsageError, match="no video found"):
        write_import(read("trec", [path]), tmp_path / "other")
