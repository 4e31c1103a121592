"""A dataset that grows keeps its splits: what cannot stay leaves training and evaluation alike, with a line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardcut.publish._scratch import Merge
from hardcut.publish.assigned import ASSIGNED, read_assigned, read_earlier
from hardcut.publish.changes import CHANGES
from hardcut.publish.dataset import LEFT_OUT, MOVED, DamagedDataset, Dataset, digests
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.given_splits import QueryRef
from hardcut.publish.inherited import Earlier
from hardcut.publish.splits import Splits, plan_splits
from hardcut.schemas.base import Record
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import RecordError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Dropped, Pair, Query, Split, Video
from hardcut.schemas.settings import Settings

WriteRun = Callable[[Path, Iterable[Record]], Path]
SHARES = ExportSettings(train=0.5, validation=0.2, licence="cc0-1.0")
SETTINGS = Settings(export=SHARES)


def world(make: Any, count: int, **of: dict[str, Any]) -> list[Record]:
    """Videos with a query each and four judged candidates; `of` gives metadata to some."""
    ids = [f"v{i:02}" for i in range(count)]
    found: list[Record] = []
    for place, video_id in enumerate(ids):
        fields = dict(of.get(video_id, {}))
        found.append(make.video(video_id, fields.pop("content", None), **fields))
        query = make.query(digest(video_id), video_id, facets=())
        found += [query, make.caption(video_id, f"Caption of {video_id}.")]
        for step in range(4):
            pair = make.pair(query, ids[(place + 7 * step) % count])
            label = make.label(pair, *(("yes", 5.0) if step == 0 else ("no", -2.0 - 3 * step)))
            found += [pair, label, make.judgment(pair, int(step == 0), label)]
    return found


def places(folder: Path, config: str = "corpus", key: str = "video_id") -> dict[str, str]:
    return {row[key]: split for split, row in Dataset(folder).rows(config, (key,))}


def gate(summary: Any, name: str = "moved_splits") -> Any:
    return next(result for result in summary.gate if result.name == name)


def test_a_dataset_that_grew_keeps_its_splits(make: Any, tmp_path: Path, write_run: WriteRun) -> None:
    first = export(write_run(tmp_path / "r1", world(make, 20)), tmp_path / "one", SETTINGS)
    assert gate(first).state == "off" and not (first.out / ASSIGNED).exists()
    run = write_run(tmp_path / "r2", world(make, 33))
    loose = places(export(run, tmp_path / "loose", SETTINGS).out)
    second = export(run, tmp_path / "two", SETTINGS, options=ExportOptions(like=first.out))
    before, now = places(first.out), places(second.out)
    assert any(loose[id] != split for id, split in before.items()), "without --like they move"
    assert now | before == now and len(now) == 33
    assert gate(second).state == "passed" and "40 videos and queries" in gate(second).message
    queries = places(first.out, "queries", "query_id")
    assert places(second.out, "queries", "query_id") | queries == places(second.out, "queries", "query_id")
    shares = [list(now.values()).count(split) for split in ("train", "validation", "test")]
    assert shares == [16, 7, 10], "new videos fill up the shares"
    again = export(run, second.out, SETTINGS, options=ExportOptions(like=second.out))
    assert places(again.out) == now, "over itself"


def test_where_nothing_changed_it_is_the_version_before(make: Any, tmp_path: Path, write_run: WriteRun) -> None:
    """It was a patch without a change, which no tag on the Hub had yet: readers fetched the same again."""
    run = write_run(tmp_path / "run", world(make, 20))
    first = export(run, tmp_path / "one", SETTINGS)
    again = export(run, tmp_path / "again", SETTINGS, options=ExportOptions(like=first.out))
    assert (first.version, again.before, again.version) == ("1.0.0", "1.0.0", "1.0.0")
    assert digests(again.out) == digests(first.out)
    other = SETTINGS.model_copy(update={"export": SETTINGS.export.model_copy(update={"name": "other"})})
    renamed = export(run, tmp_path / "renamed", other, options=ExportOptions(like=first.out))
    assert (renamed.before, renamed.version) == ("1.0.0", "1.0.1"), "a setting is another"
    same = export(run, tmp_path / "same", other, options=ExportOptions(like=renamed.out))
    assert (same.before, same.version) == ("1.0.1", "1.0.1")
    assert (same.out / CHANGES).read_bytes() == (renamed.out / CHANGES).read_bytes(), "its changelog is carried on"
    (run / "captions.jsonl").write_text("")
    fewer = export(run, tmp_path / "fewer", other, options=ExportOptions(like=same.out))
    assert fewer.version == "1.0.2", "a config is gone"


def test_what_a_leak_parts_leaves_train_and_evaluation_alike(make: Any, tmp_path: Path, write_run: WriteRun) -> None:
    """An event that ties a training video to a test video is told after the first version was published."""
    first = export(write_run(tmp_path / "r1", world(make, 20)), tmp_path / "one", SETTINGS)
    before = places(first.out)
    train, test = (next(id for id, split in before.items() if split == asked) for asked in ("train", "test"))
    grown = world(make, 20, **{train: {"event": "flood"}, test: {"event": "flood"}})
    second = export(
        write_run(tmp_path / "r2", grown), tmp_path / "two", SETTINGS, options=ExportOptions(like=first.out)
    )
    now = places(second.out)
    assert train not in now and now[test] == "test" and gate(second).state == "passed"
    assert gate(second, "event_leakage").state == "passed"
    queries = {record.query_id: record for record in grown if isinstance(record, Query)}
    lost = [
        pair
        for pair in grown
        if isinstance(pair, Pair)
        if train in (pair.video_id, queries[pair.query_id].source_video_id)
    ]
    left = {each.item: each for each in read_records(second.out / LEFT_OUT, Dropped)}
    assert left.keys() >= {train, *(pair.pair_id for pair in lost)} and len(lost) == 7
    assert all(left[pair.pair_id].reason == MOVED for pair in lost if pair.video_id == train)
    assert "of one group with a video of test" in left[train].detail and test not in left[train].detail
    for config in ("pairs", "groups", "captions", "diagnostic"):
        assert train not in str(list(Dataset(second.out).rows(config)))
    judged = sum(isinstance(record, Judgment) for record in grown)
    lines = [each for each in read_records(second.out / LEFT_OUT, Dropped) if each.item.startswith("p_")]
    assert judged == len(places(second.out, "pairs", "pair_id")) + len(lines), "every judged pair is in one of the two"
    third = export(
        write_run(tmp_path / "r3", world(make, 20)),
        tmp_path / "three",
        SETTINGS,
        options=ExportOptions(like=second.out),
    )
    assert places(third.out)[train] == "train", "what comes back finds its split"


def test_a_renamed_file_keeps_its_split_and_a_given_split_does_not_move_it() -> None:
    videos = [_video("new name", "old content"), _video("v1"), _video("v2", split="train")]
    earlier = Earlier({"v1": "validation", "v2": "test"}, {"q1": "test"}, {digest("old content"): "test"})
    queries = {"q1": QueryRef(None, None, text="a"), "q2": QueryRef("v2", None, text="b")}
    told = _plan(videos, queries, earlier)
    assert told.videos["new name"] == "test" and told.videos["v1"] == "validation" and told.queries["q1"] == "test"
    assert told.moved["v2"] == "it was in test and is given train" and "v2" in told.moved["q2"]


def test_a_new_wording_of_a_test_query_leaves_training_alone() -> None:
    """It says the same as a test query: the query goes, its video stays where it was."""
    text = "A red ball rolls slowly over the wet grass"
    videos = [_video("v1"), _video("v2")]
    queries = {"old": QueryRef("v1", None, text=text), "new": QueryRef("v2", None, text=f"{text}!")}
    told = _plan(videos, queries, Earlier({"v1": "test", "v2": "train"}, {"old": "test"}))
    assert (told.videos, told.moved, told.leaks) == ({"v1": "test", "v2": "train"}, {}, {"new": "old"})


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_however_it_grows_nothing_that_was_held_out_trains(seed: int) -> None:
    """10, 20, 30 videos in random order, with events, copies, wordings and users' queries that join them later on."""
    rng = random.Random(seed)
    ids = [f"v{i}" for i in range(30)]
    rng.shuffle(ids)
    contents = {id: rng.choice([id, id, f"c{rng.randrange(8)}"]) for id in ids}
    events = {id: rng.choice([None, None, f"e{rng.randrange(12)}"]) for id in ids}
    texts = [digest("text", i) for i in range(20)]
    queries: dict[str, QueryRef] = {}
    earlier, were = Earlier(), dict[str, Split]()
    for size in (10, 20, 30):
        here = ids[:size]
        videos = [_video(id, contents[id], event=events[id]) for id in sorted(here)]
        for video_id in here[size - 10 :]:
            queries[f"q{video_id}"] = QueryRef(video_id, None, text=rng.choice(texts))
            queries[f"u{video_id}"] = QueryRef(None, None, text=rng.choice(texts))
        relevant = {id: rng.sample(here, 2) for id in queries if id.startswith("u")}
        told = plan_splits(videos, queries, relevant, SHARES, (), earlier)
        splits = told.videos | told.queries
        kept = {id: split for id, split in splits.items() if id not in told.moved and id not in told.leaks}
        assert all(kept.get(id, split) == split for id, split in were.items())
        groups: dict[str, set[str]] = {}
        for video in videos:
            for name in (video.sha256, video.metadata["event"]):
                if name is not None and video.video_id in kept:
                    groups.setdefault(str(name), set()).add(kept[video.video_id])
        assert all(len(split) == 1 for split in groups.values())
        were |= kept
        by_content = {video.sha256: kept[video.video_id] for video in videos if video.video_id in kept}
        earlier = Earlier(
            {**earlier.videos, **{id: kept[id] for id in told.videos if id in kept}},
            {**earlier.queries, **{id: kept[id] for id in told.queries if id in kept}},
            {**earlier.contents, **by_content},
        )


def test_an_altered_version_before_is_refused(make: Any, tmp_path: Path, write_run: WriteRun) -> None:
    run = write_run(tmp_path / "run", world(make, 20))
    first = export(run, tmp_path / "one", SETTINGS)
    other = SETTINGS.model_copy(update={"export": SETTINGS.export.model_copy(update={"name": "other"})})
    export(run, tmp_path / "two", other, options=ExportOptions(like=first.out))
    assert (
        read_earlier(Dataset(tmp_path / "two")) == read_assigned(tmp_path / "two") == read_earlier(Dataset(first.out))
    )
    (tmp_path / "two" / ASSIGNED).write_text('{"kind": "video", "id": "v01", "split": "test"}\n')
    with pytest.raises(DamagedDataset, match=r"assigned\.jsonl: altered"):
        export(run, tmp_path / "three", SETTINGS, options=ExportOptions(like=tmp_path / "two"))
    (tmp_path / "two" / ASSIGNED).write_text('{"kind": "video", "id": "v01", "split": "left"}\n')
    with pytest.raises(DamagedDataset, match="'left' is no split"):
        read_assigned(tmp_path / "two")


def test_records_that_were_put_together_by_hand_are_refused(make: Any, tmp_path: Path, write_run: WriteRun) -> None:
    """Rows out of order were lost in a merge, without a word."""
    run = write_run(tmp_path / "run", world(make, 20))
    path = run / Query.FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[10:], *lines[:10]]))
    with pytest.raises(
        RecordError, match=r"queries\.jsonl: q_\w+ stands after q_\w+, out of order: .* sort their lines"
    ):
        export(run, tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()
    merge = Merge([("a", 1), ("c", 3), ("b", 2), ("d", 4)])
    assert merge("a") == 1
    with pytest.raises(RecordError, match="b comes after c"):
        merge("d")
    merge = Merge([("a", 1), ("b", 2)])
    assert merge("b") == 2
    with pytest.raises(RecordError, match="a comes after b"):
        merge("a")


def _plan(videos: list[Video], queries: dict[str, QueryRef], earlier: Earlier) -> Splits:
    return plan_splits(videos, queries, {}, SHARES, (), earlier)


def _video(video_id: str, content: str | None = None, **metadata: Any) -> Video:
    return Video(
        video_id=video_id, path=f"{video_id}.mp4", sha256=digest(content or video_id), size_bytes=1, duration_s=1,
        fps=1, width=1, height=1, codec="h264", video_streams=1, has_audio=False, complete=True, metadata=metadata,
    )  # fmt: skip


def test_a_video_that_is_not_named_finds_its_split_by_the_digest_of_its_id(make: Any) -> None:
    """Also where its file is another one when it comes back."""
    earlier = Earlier({"v1": "test", "v2": "train"}).unnamed({"v1"})
    assert set(earlier.videos) == {digest("v1"), "v2"}
    again = [make.video("v1", "another file"), make.video("v2"), make.video("v3")]
    assert earlier.splits_of(again, ()) == {"v1": "test", "v2": "train"}
    assert earlier.unnamed({"v1"}) == earlier
