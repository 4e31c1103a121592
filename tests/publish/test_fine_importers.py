"""Benchmarks of fine differences come in with what makes them fine: the video that a query starts from, the opposite
that it must not take, the moment that it asks for. The files are small cuts in the published layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.formats.imported import ImportSummary, write_import
from hardcut.publish.formats.registry import read
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Span
from hardcut.schemas.user_judgments import read_moments
from hardcut.synth.user_queries import read_queries

COVR = (
    "pth1,pth2,txt1,txt2,edit,scores\n"
    '188001_188050/26288129,149851_149900/1014598307,A waterfall,"A waterfall, near",With a closer view,"[0.2, 0.3]"\n'
    '037151_037200/18494353,193701_193750/17480878,A rose,An azalea,Change the rose to an azalea,"[0.2]"\n'
)
RTIME = {
    "1068111035": {
        "temporal": True, "reverse": True, "url": "https://x/clip-1068111035",
        "forward_captions": ["A white wire is inserted into a device."],
        "reverse_captions": ["A white wire is pulled from a device."],
        "forward_rewrites": ["A device has a white wire plugged into it.", "A white wire goes into a device."],
        "reverse_rewrites": ["Someone pulls a white wire out."],
    },
    "33176965": {"temporal": False, "reverse": False, "forward_captions": ["Books are printed."],
                 "reverse_captions": ["Books are shown."], "forward_rewrites": [], "reverse_rewrites": []},
}  # fmt: skip
CIA = (
    "id,value,nuance,source,modality\n"
    "138629,138629,time,cia-ssv2,video\n"
    "12055391_1.0,Folding [something],time,cia-ssv2,text\n"
    "12055391_0.0,Unfolding [something],time,cia-ssv2,text\n"
    "151669,151669,time,cia-ssv2,video\n"
    "n1,a dog but no cat,negation,neg-coco,text-negation\n"
    "000000001.jpg,000000001.jpg,negation,neg-coco,image\n"
    "057051_057100/3420149,057051_057100/3420149,multimodal,covr-webvid,video\n"
    "035851_035900/15978784|change the apples,"
    "\"{'video': '035851_035900/15978784', 'text': 'change the apples'}\",multimodal,covr-webvid,video-text\n"
)
LABELS = {
    "12055391_1.0": ["138629"], "12055391_0.0": [151669], "138629": ["12055391_1.0"], "151669": ["12055391_0.0"],
    "n1": ["000000001.jpg"], "035851_035900/15978784|change the apples": ["057051_057100/3420149"],
}  # fmt: skip
SEEKER = {
    "qry_text": "When does the man put on his hat?", "qry_img_path": "", "qry_video_path": "",
    "src_video_path": "./videos/movie101_16.mp4", "answering_time_interval": [[3.0, 9.5], [61, 64.25]],
    "task": "action", "candidate_video_list": [{"output_path": "movie101_16/0.00_3.00.mp4"}], "gt_indices": [1],
}  # fmt: skip


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., tuple[ImportSummary, Path]]:
    """Imports files given as (name, text or JSON)."""

    def call(format: str, *files: tuple[str, Any], videos: Path | None = None) -> tuple[ImportSummary, Path]:
        for name, content in files:
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / name).write_text(text, encoding="utf-8")
        found = read(format, [tmp_path / name for name, _ in files])
        return write_import(found, tmp_path / "in", videos), tmp_path / "in"

    return call


def grades(folder: Path) -> dict[tuple[str, str], int]:
    return {(row["query_id"], row["video_id"]): row["grade"] for row in lines(folder / "judgments.jsonl")}


def test_webvid_covr_queries_keep_the_video_that_they_start_from(imported: Callable[..., Any]) -> None:
    files = [("webvid8m-covr_test.csv", COVR), ("webvid2m-covr_train.csv", COVR.replace("/", "/7"))]
    done, folder = imported("webvid-covr", *files)
    assert (done.queries, done.videos, done.judgments, done.grades) == (4, 8, 4, {1: 4})
    queries = {query.external_id: query for query in read_queries(folder / "queries.jsonl")}
    first = queries["webvid8m-covr_test-0"]
    assert (first.kind, first.reference_video_id, first.split) == ("composed", "188001_188050/26288129", "test")
    assert queries["webvid2m-covr_train-1"].split == "train"
    assert grades(folder)["webvid8m-covr_test-0", "149851_149900/1014598307"] == 1
    about = {row["video_id"]: row for row in lines(folder / "manifest.jsonl")}
    assert about["149851_149900/1014598307"]["captions"] == ["A waterfall, near"]
    assert about["188001_188050/26288129"]["path"] == "188001_188050/26288129.mp4"


def test_dense_edits_under_their_published_name_and_beside_other_columns(imported: Callable[..., Any]) -> None:
    edit = "The rose gives way to an azalea, while the camera goes on around it and the light stays as it is. " * 4
    table = f'index,edit,pth2,pth1\n7,"{edit}",b/2,a/1\n'
    done, folder = imported("webvid-covr", ("dense-webvid8m-covr_test.csv", table))
    (query,) = read_queries(folder / "queries.jsonl")
    assert (done.judgments, query.reference_video_id, query.split) == (1, "a/1", "test")
    assert query.text == edit.strip()


def test_a_query_whose_reference_is_not_there_is_left_out_by_name(imported: Callable[..., Any], tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for name in ("188001_188050/26288129.webm", "149851_149900/1014598307.mp4", "193701_193750/17480878.mp4"):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        (videos / name).write_bytes(b"x")
    done, folder = imported("webvid-covr", ("webvid8m-covr_test.csv", COVR), videos=videos)
    assert done.skipped == {"no_file": 1, "no_reference": 1} and list(grades(folder)) == [
        ("webvid8m-covr_test-0", "149851_149900/1014598307")
    ]
    assert [row["query_id"] for row in lines(folder / "queries.jsonl")] == ["webvid8m-covr_test-0"]


def test_rtime_sentences_are_judged_no_for_the_video_played_backwards(imported: Callable[..., Any]) -> None:
    done, folder = imported("rtime", ("test.json", RTIME), ("valid.json", {"7": {"forward_captions": ["A cat sits."]}}))
    assert (done.queries, done.videos, done.grades) == (8, 5, {0: 5, 1: 8})
    found = grades(folder)
    assert (found["1068111035#0", "1068111035"], found["1068111035#0", "1068111035#reversed"]) == (1, 0)
    assert found["1068111035#reversed#1", "1068111035"] == 0
    assert ("33176965#0", "33176965#reversed") not in found, "played backwards it tells the same"
    videos = {row["video_id"]: row for row in lines(folder / "manifest.jsonl")}
    assert videos["1068111035#reversed"]["source"] == videos["1068111035"]["source"] == "1068111035"
    assert {query.split for query in read_queries(folder / "queries.jsonl")} == {"test", "validation"}


def test_cia_actions_are_judged_no_for_their_opposites(imported: Callable[..., Any]) -> None:
    files = [("nuanced_retrieval_inputs-test.csv", CIA), ("nuanced_retrieval_labels-test.json", LABELS)]
    done, folder = imported("cia", *files)
    assert (done.queries, done.videos, done.grades) == (3, 4, {0: 2, 1: 3})
    assert done.skipped == {"no_video": 1, "no_judgment": 1, "not_in_qrels": 1}, (
        "a picture, its text, an id with blanks"
    )
    found = grades(folder)
    assert found["12055391_1.0", "138629"] == 1 and found["12055391_1.0", "151669"] == 0
    composed = next(query for query in read_queries(folder / "queries.jsonl") if query.kind == "composed")
    assert (composed.reference_video_id, composed.text) == ("035851_035900/15978784", "change the apples")
    with pytest.raises(UsageError, match="labels of its split"):
        imported("cia", ("nuanced_retrieval_inputs-val.csv", CIA), files[1])


def test_momentseeker_asks_for_moments_of_long_videos(imported: Callable[..., Any]) -> None:
    clip = {**SEEKER, "qry_text": "Who does the same?", "qry_video_path": "./query_videos/c1.mp4"}
    picture = {**SEEKER, "qry_img_path": "./query_images/1.jpg"}
    done, folder = imported("momentseeker", ("t2v.json", [SEEKER]), ("tv2v.json", [clip]), ("ti2v.json", [picture]))
    assert (done.queries, done.videos, done.judgments, done.skipped) == (2, 2, 2, {"needs_picture": 1})
    queries = {query.external_id: query for query in read_queries(folder / "queries.jsonl")}
    assert queries["t2v-0"].kind == "moment" and queries["tv2v-0"].reference_video_id == "c1"
    assert {query.split for query in queries.values()} == {"test"}
    moments = read_moments(folder / "judgments.jsonl")["t2v-0"]["movie101_16"]
    assert moments == (Span(start=3, end=9.5), Span(start=61, end=64.25))
    assert {row["path"] for row in lines(folder / "manifest.jsonl")} == {
        "videos/movie101_16.mp4",
        "query_videos/c1.mp4",
    }


def test_a_sentence_of_two_moments_keeps_both(imported: Callable[..., Any]) -> None:
    text = "3MSZA 24.3 30.4##person turns a light on.\n3MSZA 1 2##person turns a light on.\n"
    done, folder = imported("charades-sta", ("charades_sta_test.txt", text))
    assert (done.queries, done.skipped) == (1, {"repeated": 1})
    (query,) = read_queries(folder / "queries.jsonl")
    spans = read_moments(folder / "judgments.jsonl")["3MSZA#0"]["3MSZA"]
    assert query.kind == "moment" and [span.start for span in spans] == [24.3, 1.0]


FILES: dict[str, list[tuple[str, Any]]] = {
    "webvid-covr": [("webvid8m-covr_test.csv", COVR)],
    "rtime": [("test.json", RTIME)],
    "cia": [("nuanced_retrieval_inputs-test.csv", CIA), ("nuanced_retrieval_labels-test.json", LABELS)],
    "momentseeker": [("t2v.json", [SEEKER])],
}
ODD = [None, True, -1, 1.5, float("nan"), "", "..", [], [[]], {}, [None], "9" * 5000, 10**400, [[0, 1], 2]]


@pytest.mark.parametrize("name", FILES)
def test_no_value_anywhere_ends_in_a_traceback(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / file for file, _ in FILES[name]]
    for (file, content), path in zip(FILES[name], paths, strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        assert file == path.name
    file, content = FILES[name][-1]
    changed: list[str] = []
    if isinstance(content, str):
        rows = content.splitlines()
        for at in range(len(rows)):
            cells = rows[at].split(",")
            changed += [
                "\n".join([*rows[:at], ",".join([*cells[:cell], odd, *cells[cell + 1 :]]), *rows[at + 1 :]])
                for cell in range(len(cells))
                for odd in ("", "..", '"', "9" * 5000, "{'video': 1}", "\x00")
            ]
    else:
        changed = [json.dumps(one) for odd in ODD for one in _changed(content, odd)]
    assert len(changed) > 20
    for text in changed:
        paths[-1].write_text(text, encoding="utf-8")
        try:
            read(name, paths).settled()
        except UsageError as error:
            assert any(path.name in str(error) for path in paths), error


def _changed(value: Any, odd: Any) -> list[Any]:
    """The value with each part of it in turn replaced."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    found = [odd]
    for key in keys:
        for inner in _changed(value[key], odd):
            whole = dict(value) if isinstance(value, dict) else list(value)
            whole[key] = inner
            found.append(whole)
    return found
