"""Formats of trainers and benchmarks: what a row means, with composed queries, other suffixes, texts of any script."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import export
from hardcut.publish.formats.registry import OF_PIXELS, WITH_REFERENCE, Written, convert
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Claim, Evidence
from hardcut.schemas.settings import Settings

TRAP = "the tag <video> in a query, e.g. <IMAGE>"
SETTINGS = Settings(export=ExportSettings(licence="cc0-1.0", train=0.7, validation=0.0))


def _clip(path: Path, codec: str = "mpeg4") -> None:
    """12 seconds, two pictures a second, each of its own grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for at in range(24):
            picture = np.full((48, 64, 3), 10 * at, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the dataset; one is called .webm."""
    folder = tmp_path_factory.mktemp("videos")
    _clip(folder / "v0.mp4")
    for i in range(1, 10):
        (folder / f"v{i}.mp4").write_bytes((folder / "v0.mp4").read_bytes())
    _clip(folder / "v1.webm", "libvpx")
    (folder / "v1.mp4").unlink()
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make: Any, write_run: Callable[..., Path]) -> Dataset:
    """Ten videos with a query each, four judged pairs a query; a query of the user's, one that is a trap for counters
    of tags, one that starts from a video; a caption that rests on a title alone."""
    folder, records = tmp_path_factory.mktemp("dataset"), []
    words = ("門を開ける男", "человек идёт домой", TRAP, "سيارة حمراء", *(f"{c * 9} {ord(c)}" for c in "abcdef"))
    queries = [make.query(text, f"v{i}") for i, text in enumerate(words)]
    queries.append(make.query("now from behind", "v5", kind="composed", reference_video_id="v6"))
    titled = Evidence.create(text="a title", video_id="v3", kind="metadata", extractor="title")
    claim = Claim(text="Title: a title.", evidence_ids=(titled.evidence_id,))
    records += [titled, make.caption("v3", "Title: a title.").model_copy(update={"claims": (claim,)})]
    for i in range(10):
        video = make.video(f"v{i}", split="train" if i < 8 else "test", licence="CC0-1.0")
        records.append(video.model_copy(update={"path": "v1.webm"}) if i == 1 else video)
        records += [make.caption(f"v{i}", f"Caption {i}.")] if i != 3 else []
    for query in queries:
        at = int(query.source_video_id[1:])
        for step in range(4):
            pair = make.pair(query, f"v{(at + step) % 8 if at < 8 or step else at}")
            label = make.label(pair, "no" if step else "yes", -8.0 - step if step else 5.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
    return Dataset(export(write_run(folder / "run", [*records, *queries]), folder / "dataset", SETTINGS).out)


@pytest.fixture(scope="module")
def written(dataset: Dataset, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A format's folder and what was said of it; each is written once."""
    root, known = tmp_path_factory.mktemp("out"), dict[str, tuple[Path, Written]]()

    def write(name: str) -> tuple[Path, Written]:
        if name not in known:
            known[name] = root / name, convert(dataset, name, root / name, videos)
        return known[name]

    return write


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_ms_swift_counts_a_video_for_each_tag(written: Callable[[str], Any], dataset: Dataset, videos: Path) -> None:
    out, done = written("ms-swift")
    assert not done.left_out and done.rows["train.reranker.jsonl"] == dataset.count("groups", "train") > 0
    for kind, role in (("reranker", "assistant"), ("embedding", "user")):
        rows = [*lines(out / f"train.{kind}.jsonl"), *lines(out / f"test.{kind}.jsonl")]
        for row in rows:
            (asked,) = row["messages"]
            assert asked["role"] == "user" and asked["content"].count("<video>") == len(row["videos"])
            assert len(row["positive_messages"]) == 1 and len(row["negative_messages"]) == 2
            for side in ("positive", "negative"):
                assert len(row[f"{side}_videos"]) == len(row[f"{side}_messages"])
                for shown, said in zip(row[f"{side}_videos"], row[f"{side}_messages"], strict=True):
                    assert said == [{"role": role, "content": "<video>"}] and len(shown) == 1
                    assert Path(shown[0]).is_file() and Path(shown[0]).is_absolute()
        composed = [row for row in rows if "from behind" in row["messages"][0]["content"]]
        assert composed and all(row["videos"] == [str(videos / "v6.mp4")] for row in composed)
        assert sum("< video>" in row["messages"][0]["content"] for row in rows) > 0, "a tag in a query is no video"


def test_llama_factory_has_every_pair_and_what_can_be_seen(written: Callable[[str], Any], dataset: Dataset) -> None:
    out, done = written("llama-factory")
    info = json.loads((out / "dataset_info.json").read_text())
    assert {one["file_name"] for one in info.values()} == set(done.rows)
    asked = [row for split in dataset.splits("pairs") for row in lines(out / f"{split}.ranking.jsonl")]
    labels = [row["label"] for _, row in dataset.rows("pairs", ("label",))]
    assert [row["messages"][1]["content"] for row in asked] == ["yes" if label else "no" for label in labels]
    for row in asked:
        assert row["messages"][0]["content"].count("<video>") == len(row["videos"])
    composed = [row for row in asked if "now from behind" in row["messages"][0]["content"]]
    assert composed and all(row["videos"][0].endswith("v6.mp4") and len(row["videos"]) == 2 for row in composed)
    told = [row["messages"][1]["content"] for row in lines(out / "train.captions.jsonl")]
    assert "Caption 0." in told and not any("title" in text for text in told)
    assert sum(done.left_out.values()) == 1 and "nothing that they say can be seen" in next(iter(done.left_out))


def test_trl_shows_frames_for_each_video(written: Callable[[str], Any]) -> None:
    from datasets import load_dataset

    out, done = written("trl")
    found = load_dataset("parquet", data_dir=str(out / "ranking"), cache_dir=str(out.parent / "cache"))
    assert {split: rows.num_rows for split, rows in found.items()} == {
        split: done.rows[f"ranking/{split}-00000-of-00001.parquet"] for split in ("train", "test")
    }
    sizes = set()
    for row in found["train"]:
        (asked,) = row["prompt"]
        tags = [part for part in asked["content"] if part["type"] == "image"]
        assert len(tags) == len(row["images"]) and row["completion"][0]["content"][0]["text"] in ("yes", "no")
        sizes.add(len(tags))
    assert sizes == {8, 16}, "8 frames a video, and a composed query shows two"
    greys = [int(np.asarray(picture).mean()) for picture in found["train"][0]["images"]]
    assert greys == sorted(greys) and greys[-1] - greys[0] > 150, "in order, from all over the 12 seconds"


def test_flag_embedding_scores_are_the_teachers(written: Callable[[str], Any], dataset: Dataset) -> None:
    out, done = written("flag-embedding")
    rows = lines(out / "train.scored.jsonl")
    assert rows and {"query", "pos", "neg", "pos_scores", "neg_scores"} == set(rows[0])
    for row in rows:
        assert len(row["pos"]) == len(row["pos_scores"]) and len(row["neg"]) == len(row["neg_scores"])
        assert row["pos"] and row["neg"] and min(row["pos_scores"]) > max(row["neg_scores"])
    texts = {text for row in lines(out / "train.jsonl") for text in (*row["pos"], *row["neg"])}
    assert "Caption 0." in texts and not any(".mp4" in text or ".webm" in text for text in texts)
    assert not any("from behind" in row["query"] for row in rows) and sum(done.left_out.values()) == 1


def test_mteb_has_the_videos_or_what_was_told_of_them(
    written: Callable[[str], Any], dataset: Dataset, tmp_path: Path
) -> None:
    from datasets import Video, load_dataset

    out, _ = written("mteb")

    def table(config: str, split: str) -> Any:
        return load_dataset(str(out), config, split=split, cache_dir=str(out.parent / "cache"))

    corpus = load_dataset(str(out), "corpus", cache_dir=str(out.parent / "cache"))
    assert isinstance(corpus["test"].features["video"], Video) and "text" not in corpus["test"].column_names
    convert(dataset, "mteb", tmp_path / "texts")
    assert set(lines(tmp_path / "texts" / "corpus" / "test.jsonl")[0]) == {"id", "title", "text"}
    for split in dataset.splits("pairs"):
        documents, queries = set(corpus[split]["id"]), {row["id"] for row in table("queries", split)}
        judged = {(row["query-id"], row["corpus-id"]) for row in table("qrels", split)}
        ranked = {(row["query-id"], id) for row in table("top_ranked", split) for id in row["corpus-ids"]}
        assert judged == ranked and {id for _, id in judged} == documents and {id for id, _ in judged} == queries


def test_webdataset_samples_are_a_video_and_what_is_known_of_it(
    written: Callable[[str], Any], dataset: Dataset, videos: Path
) -> None:
    out, done = written("webdataset")
    judged = 0
    for name in done.rows:
        with tarfile.open(out / name) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        keys = {name.split(".", 1)[0] for name in members}
        assert len(members) == 2 * len(keys) == 2 * done.rows[name]
        for key in keys:
            about = json.load(io.BytesIO(members[f"{key}.json"]))
            suffix = "webm" if about["video_id"] == "v1" else "mp4"
            assert name.startswith(f"{suffix}/"), "readers take the members of the first sample for those of all"
            assert members[f"{key}.{suffix}"] == (videos / f"{about['video_id']}.{suffix}").read_bytes()
            judged += len(about["pairs"])
            assert all(p["reference_video_id"] for p in about["pairs"] if p["query"] == "now from behind")
    assert judged == dataset.count("pairs")


def test_triplets_have_the_difference_of_both_margins(written: Callable[[str], Any]) -> None:
    out, done = written("sentence-transformers")
    rows = lines(out / "train.triplets.jsonl")
    assert len(rows) == done.rows["train.triplets.jsonl"] > 0
    assert list(rows[0]) == ["query", "positive", "negative", "score"] and all(row["score"] > 10 for row in rows)


def test_ids_with_dots_and_folders_stay_one_sample(
    make: Any, write_run: Callable[..., Path], videos: Path, tmp_path: Path
) -> None:
    records: list[Any] = []
    for id in ("a/b.c", "a b%", "v0"):
        query = make.query(f"about {id}", id)
        pair = make.pair(query, id)
        records += [make.video(id).model_copy(update={"path": "v0.mp4"}), query, pair, make.judgment(pair, 1)]
    settings = Settings(export=ExportSettings(licence="cc0-1.0", train=1, validation=0))
    dataset = Dataset(export(write_run(tmp_path / "run", records), tmp_path / "dataset", settings).out)
    convert(dataset, "webdataset", tmp_path / "out", videos)
    with tarfile.open(tmp_path / "out" / "mp4" / "train-00000.tar") as tar:
        names = tar.getnames()
    assert sorted(name.split(".", 1)[1] for name in names) == ["json"] * 3 + ["mp4"] * 3
    assert len({name.split(".", 1)[0] for name in names}) == 3 and not any("/" in name for name in names)


def test_a_split_whose_videos_are_another_s_is_written_and_one_of_composed_queries_is_not_named(
    make: Any, write_run: Callable[..., Path], videos: Path, tmp_path: Path
) -> None:
    """The user's queries are held out, and all videos are of train. The one caption rests on a title."""
    records: list[Any] = [make.video(f"v{at}", split="train", licence="cc0-1.0") for at in (0, 2, 3)]
    titled = Evidence.create(text="a title", video_id="v0", kind="metadata", extractor="title")
    claim = Claim(text="Title: a title.", evidence_ids=(titled.evidence_id,))
    records += [titled, make.caption("v0", "Title: a title.").model_copy(update={"claims": (claim,)})]
    composed = make.query("the same, but blue", "v2", kind="composed", reference_video_id="v3")
    for query in (make.query("a red car", external_id="u", split="test"), composed):
        for at in (0, 2, 3):
            pair = make.pair(query, f"v{at}")
            records += [pair, make.judgment(pair, int(at == 2))]
        records.append(query)
    run = write_run(tmp_path / "run", records)
    dataset = Dataset(export(run, tmp_path / "dataset", SETTINGS).out)
    assert (dataset.splits("corpus"), dataset.splits("pairs")) == (("train",), ("train", "test"))
    assert convert(dataset, "llama-factory", tmp_path / "lf").rows == {
        "train.ranking.jsonl": 3,
        "test.ranking.jsonl": 3,
    }
    assert {path.name for path in (tmp_path / "lf").glob("*.jsonl")} == {"train.ranking.jsonl", "test.ranking.jsonl"}
    assert sum(convert(dataset, "trl", tmp_path / "trl", videos).rows.values()) == 6
    done = convert(dataset, "mteb", tmp_path / "mteb")
    assert "split: train" not in (tmp_path / "mteb" / "README.md").read_text() and all(done.rows.values())


def test_paths_are_absolute_only_with_the_folder_which_has_every_video(
    dataset: Dataset, videos: Path, written: Callable[[str], Any], tmp_path: Path
) -> None:
    convert(dataset, "sentence-transformers", tmp_path / "relative")
    (tmp_path / "lacking").mkdir()
    near = {row["video"]["video"] for row in lines(tmp_path / "relative" / "train.pairs.jsonl")}
    assert "v1.webm" in near and not any(Path(path).is_absolute() for path in near)
    far = {row["video"]["video"] for row in lines(written("sentence-transformers")[0] / "train.pairs.jsonl")}
    assert far == {str(videos / path) for path in near}
    for name in ("ms-swift", "trec"):
        with pytest.raises(UsageError, match="10 of 10 videos of the dataset are not there, such as"):
            convert(dataset, name, tmp_path / f"bad {name}", tmp_path / "lacking")
        assert not (tmp_path / f"bad {name}").exists()
    for name in OF_PIXELS:
        with pytest.raises(UsageError, match="name their folder with --videos"):
            convert(dataset, name, tmp_path / "none")


def test_every_video_is_named_as_one_in_whatever_folder_and_of_whatever_suffix(
    dataset: Dataset, tmp_path: Path
) -> None:
    """sentence-transformers takes a path alone for a text where no file is there, or its suffix is .webm."""
    done = convert(dataset, "sentence-transformers", tmp_path / "out")
    documents = [
        document
        for name in done.rows
        for row in lines(tmp_path / "out" / name)
        for column, value in row.items()
        if column not in ("query", "label", "labels", "score")
        for document in (value if isinstance(value, list) else [value])
    ]
    assert all(document.keys() == {"video"} for document in documents)
    assert "v1.webm" in {document["video"] for document in documents}


def test_a_composed_query_leaves_with_its_reference_or_is_counted(written: Callable[[str], Any]) -> None:
    from hardcut.publish.formats.registry import EXPORTERS, OF_TRIPLETS

    for name in EXPORTERS.keys() - OF_TRIPLETS:
        out, done = written(name)
        has = any(b"from behind" in path.read_bytes() for path in out.rglob("*.*") if path.suffix != ".parquet")
        counted = any("composed" in reason for reason in done.left_out)
        assert counted == (name not in WITH_REFERENCE), name
        assert has == (name in WITH_REFERENCE - {"trl"}), name
