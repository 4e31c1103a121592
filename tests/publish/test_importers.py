"""Public benchmarks come in with their queries, spans and splits. The files are small cuts in the published layouts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import export
from hardcut.publish.formats.imported import ImportSummary, write_import
from hardcut.publish.formats.registry import convert, read
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.synth.user_queries import read_queries

ACTIVITYNET = {
    "v_QOlSCBRmfWY": {
        "duration": 82.73,
        "timestamps": [[0.83, 19.86], [17.37, 60.81]],
        "sentences": ["A young woman is seen standing in a room.", " The girl dances around the room."],
    },
    "v_ehGHCYKzyZ8": {"duration": 61.72, "timestamps": [[61.5, 33.9]], "sentences": ["The video starts with a logo."]},
}
DIDEMO = [
    {
        "annotation_id": 3, "video": "10015567@N08_3655084291_d8b58466fa.mov", "num_segments": 6,
        "description": "the dog jumps", "times": [[1, 1], [1, 1], [0, 1], [1, 1]], "dl_link": "https://x/y",
    },
]  # fmt: skip
TVR = {
    "vid_name": "friends_s01e03_seg02_clip_19", "duration": 61.46, "ts": [16.48, 33.87],
    "desc": "Phoebe puts one of her ponytails in her mouth.", "type": "v", "desc_id": 90200,
}  # fmt: skip
YOUCOOK2 = {
    "database": {
        "GLd3aX16zBg": {
            "duration": 241.62, "subset": "training", "recipe_type": "113",
            "annotations": [{"segment": [90, 102], "id": 0, "sentence": "spread margarine on two slices of bread"}],
        },
        "xHr8X2Wpmno": {"duration": 311.77, "subset": "validation", "recipe_type": "105", "annotations": []},
    }
}  # fmt: skip
VATEX = [
    {"videoID": "Ptf_2VRj-V0_000122_000132", "enCap": ["A person is riding a horse.", "Someone rides."],
     "chCap": ["一个人在骑马。"]},
]  # fmt: skip
JSONS: dict[str, tuple[str, Any]] = {
    "activitynet": ("val_1.json", ACTIVITYNET),
    "didemo": ("test_data.json", DIDEMO),
    "tvr": ("tvr_train_release.jsonl", TVR),
    "youcook2": ("youcookii_annotations_trainval.json", YOUCOOK2),
    "vatex": ("vatex_training_v1.0.json", VATEX),
}


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., tuple[ImportSummary, Path]]:
    """Imports files given as (name, text or JSON)."""

    def call(format: str, *files: tuple[str, Any]) -> tuple[ImportSummary, Path]:
        paths = []
        for name, content in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            paths.append(path)
        return write_import(read(format, paths), tmp_path / "in"), tmp_path / "in"

    return call


def told(folder: Path) -> dict[str, tuple[str | None, str, str | None, list[list[float]]]]:
    """Of each query: its split, its video, that video's split, the spans."""
    videos = {row["video_id"]: row.get("split") for row in lines(folder / "manifest.jsonl")}
    queries = {query.external_id: query.split for query in read_queries(folder / "queries.jsonl")}
    found = {}
    for row in lines(folder / "judgments.jsonl"):
        spans = [[span["start"], span["end"]] for span in row.get("spans", [])]
        found[row["query_id"]] = (queries[row["query_id"]], row["video_id"], videos[row["video_id"]], spans)
    return found


def test_activitynet_has_two_annotators_moments_of_val(imported: Callable[..., Any]) -> None:
    other = {"v_QOlSCBRmfWY": {"duration": 82.73, "timestamps": [[0, 5.5]], "sentences": ["She stands."]}}
    done, folder = imported("activitynet", JSONS["activitynet"], ("val_2.json", other))
    assert (done.queries, done.videos, done.judgments, done.skipped) == (4, 2, 4, {"no_span": 1})
    assert told(folder)["v_QOlSCBRmfWY#1"] == ("validation", "v_QOlSCBRmfWY", "validation", [[17.37, 60.81]])
    assert told(folder)["v_QOlSCBRmfWY#2"][3] == [[0.0, 5.5]] and told(folder)["v_ehGHCYKzyZ8#0"][3] == []


def test_charades_sta(imported: Callable[..., Any]) -> None:
    text = "3MSZA 24.3 30.4##person turn a light on.\n3MSZA 1 2##a person eats##cake\n"
    done, folder = imported("charades-sta", ("charades_sta_test.txt", text))
    assert (done.queries, done.videos) == (2, 1)
    assert told(folder)["3MSZA#0"] == ("test", "3MSZA", "test", [[24.3, 30.4]])
    with pytest.raises(UsageError, match="line 1: not `ID START END##SENTENCE`"):
        imported("charades-sta", ("charades_sta_test.txt", "3MSZA 24.3 person\n"))


def test_didemo_takes_the_span_of_most_and_keeps_every_annotator(imported: Callable[..., Any]) -> None:
    _, folder = imported("didemo", JSONS["didemo"])
    assert told(folder) == {"3": ("test", "10015567@N08_3655084291_d8b58466fa", "test", [[5.0, 10.0]])}
    (judged,) = lines(folder / "judgments.jsonl")
    assert [rating["span"]["start"] for rating in judged["ratings"]] == [5.0, 5.0, 0.0, 5.0]
    assert lines(folder / "manifest.jsonl")[0]["path"].endswith("d8b58466fa.mov")


def test_tvr_keeps_the_public_test_without_judgments(imported: Callable[..., Any]) -> None:
    hidden = {"desc": "Ross waves.", "type": "v", "desc_id": 1}
    done, folder = imported("tvr", JSONS["tvr"], ("tvr_test_public_release.jsonl", hidden))
    assert done.queries == 2 and done.skipped == {"no_judgment": 1}
    assert told(folder) == {"90200": ("train", "friends_s01e03_seg02_clip_19", "train", [[16.48, 33.87]])}
    assert lines(folder / "manifest.jsonl")[0]["source"] == "friends_s01e03"


def test_youcook2_splits_are_in_the_file(imported: Callable[..., Any]) -> None:
    done, folder = imported("youcook2", JSONS["youcook2"])
    assert done.videos == 2 and told(folder) == {"GLd3aX16zBg#0": ("train", "GLd3aX16zBg", "training", [[90.0, 102.0]])}


def test_vatex_has_both_languages_and_the_video_behind_a_clip(imported: Callable[..., Any]) -> None:
    done, folder = imported("vatex", JSONS["vatex"], ("vatex_validation_v1.0.json", []))
    languages = {query.external_id: query.language for query in read_queries(folder / "queries.jsonl")}
    assert done.queries == 3 and sorted(languages.values()) == ["en", "en", "zh"]
    assert {one[0] for one in told(folder).values()} == {"train"}
    assert lines(folder / "manifest.jsonl")[0]["source"] == "Ptf_2VRj-V0"


def test_msvd_lists_give_splits_to_queries_too(imported: Callable[..., Any]) -> None:
    text = (
        "# MSVD\n-4wsuPCjDBc_5_15 a squirrel is eating a peanut\n"
        "-4wsuPCjDBc_5_15 an animal eats\nklteYv1Uv9A_27_33\ta\n"
    )
    lists = [("train_list.txt", "-4wsuPCjDBc_5_15\n"), ("test_list.txt", "klteYv1Uv9A_27_33\n")]
    _, folder = imported("msvd", ("AllVideoDescriptions.txt", text), *lists)
    assert {id: one[::2] for id, one in told(folder).items()} == {
        "-4wsuPCjDBc_5_15#0": ("train", "train"), "-4wsuPCjDBc_5_15#1": ("train", "train"),
        "klteYv1Uv9A_27_33#0": ("test", "test"),
    }  # fmt: skip


def test_lsmdc_clips_of_one_film_are_of_one_source(imported: Callable[..., Any]) -> None:
    times = "\t00.00.51.926\t00.00.54.129\t00.00.51.926\t00.00.54.129\t"
    name = "0001_American_Beauty_00.00.51.926-00.00.54.129"
    other = name.replace("Beauty", "Pie")
    held_out = "LSMDC16_challenge_1000_publictect.csv"  # the name under which the test of retrieval is published
    files = [("LSMDC16_annos_val.csv", f"{name}{times}A dog barks.\n"), (held_out, f"{other}{times}A cat sits.\n")]
    done, folder = imported("lsmdc", *files)
    assert done.queries == 2 and told(folder)[f"{name}#0"][::2] == ("validation", "validation")
    assert told(folder)[f"{other}#0"][::2] == ("test", "test") and done.splits == {"validation": 1, "test": 1}
    assert lines(folder / "manifest.jsonl")[0]["source"] == "0001_American_Beauty"


def test_queries_without_a_split_are_counted(imported: Callable[..., Any]) -> None:
    """A file under another name gives none, which must not pass unseen."""
    done, _ = imported("tvr", JSONS["tvr"], ("mine.jsonl", {**TVR, "desc": "Ross waves.", "desc_id": 7}))
    assert done.splits == {"train": 1, "none": 1}


def test_negbench_wrong_choices_are_judged_no(imported: Callable[..., Any]) -> None:
    retrieval = ',filepath,captions\n0,data/videos/video7010.mp4,"[""a dog not on grass"", \'no cat\']"\n'
    choices = (
        "image_path,caption_0,caption_1,caption_2,caption_3,correct_answer,correct_answer_template\n"
        "v/video7010.mp4,a dog but no cat,a cat,no dog,grass,0,hybrid\n"
    )
    done, folder = imported("negbench", ("msr_vtt_retrieval.csv", retrieval), ("msr_vtt_mcq.csv", choices))
    assert done.grades == {0: 3, 1: 3} and {one[:3] for one in told(folder).values()} == {("test", "video7010", "test")}
    with pytest.raises(UsageError, match="captions is not a list of texts"):
        imported("negbench", ("a.csv", "filepath,captions\nv.mp4,\"__import__('os').system('x')\"\n"))


def test_msrvtt_lists_outrank_the_split_in_the_json(imported: Callable[..., Any]) -> None:
    whole = {
        "videos": [{"video_id": f"video{i}", "split": split} for i, split in enumerate(("train", "validate", "test"))],
        "sentences": [{"caption": f"caption {i}", "video_id": f"video{i}", "sen_id": i} for i in range(3)],
    }
    _, folder = imported("msrvtt", ("MSRVTT_data.json", whole))
    assert [one[0] for _, one in sorted(told(folder).items())] == ["train", "validation", "test"]


def test_msrvtt_9k(imported: Callable[..., Any]) -> None:
    whole = {
        "videos": [{"video_id": f"video{i}", "split": "test"} for i in range(2)],
        "sentences": [{"caption": f"caption {i}", "video_id": f"video{i}", "sen_id": i} for i in range(2)],
    }
    held_out = "key,vid_key,video_id,sentence\nret0,msr1,video1,a man cooks\n"
    files = [("MSRVTT_train.9k.csv", "video_id\nvideo0\n"), ("MSRVTT_JSFUSION_test.csv", held_out)]
    _, folder = imported("msrvtt", *files, ("MSRVTT_data.json", whole))
    assert {id: one[:3] for id, one in told(folder).items()} == {
        "0": ("train", "video0", "train"), "1": ("test", "video1", "test"), "ret0": ("test", "video1", "test"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["trec", "rankvideo", "mteb"])
def test_splits_come_back_with_queries_and_videos(
    make: Any, write_run: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    """A held-out query has training videos among its negatives: these stay training videos."""
    records: list[Any] = []
    for i in range(12):
        query = make.query(f"a thing that {'abcdefghijkl'[i] * 9} does in video {i * 7919}", f"v{i}")
        records += [make.video(f"v{i}", licence="CC0-1.0"), query, make.caption(f"v{i}")]
        for step in range(4):
            pair = make.pair(query, f"v{(i + step) % 12}")
            records += [pair, make.judgment(pair, int(not step))]
    settings = Settings(export=ExportSettings(licence="cc0-1.0", train=0.6, validation=0.2))
    dataset = Dataset(export(write_run(tmp_path / "run", records), tmp_path / "dataset", settings).out)
    rows = convert(dataset, name, tmp_path / "out").rows
    files = [tmp_path / "out" / file for file in rows if not file.endswith((".run", "first_stage.json"))]
    write_import(read(name, [file for file in files if file.name != "queries.tsv"]), tmp_path / "in")
    videos = {row["video_id"]: row["split"] for row in lines(tmp_path / "in" / "manifest.jsonl")}
    assert videos == {row["video_id"]: split for split, row in dataset.rows("corpus", ("video_id",))}
    queries = {query.external_id: query.split for query in read_queries(tmp_path / "in" / "queries.jsonl")}
    assert queries == {row["query_id"]: split for split, row in dataset.rows("queries", ("query_id",))}
    assert len(set(queries.values())) == 3


ODD = [None, True, -1, 1.5, float("nan"), "", "\ud800", "..", [], [[]], {}, [None], "9" * 5000, 10**400, [[0, 1], 2]]


def _changed(value: Any, odd: Any) -> Iterator[Any]:
    """The value with each part of it in turn replaced."""
    yield odd
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        for inner in _changed(value[key], odd):
            whole = copy.copy(value)
            whole[key] = inner
            yield whole


@pytest.mark.parametrize("name", JSONS)
def test_no_value_anywhere_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    file, content = JSONS[name]
    for odd in ODD:
        for changed in _changed(content, odd):
            (tmp_path / file).write_text(json.dumps(changed), encoding="utf-8")
            try:
                read(name, [tmp_path / file]).settled()
            except UsageError as error:
                assert file in str(error)
