"""Groups never straddle, shares hold, and videos that are added later move nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.publish.splits import (
    QueryRef,
    may_use,
    split_groups,
    split_queries,
    split_videos,
    video_groups,
)
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Video
from hardcut.schemas.settings import ExportSettings

SETTINGS = ExportSettings()


def video(video_id: str, content: str, event: Any) -> Video:
    metadata = {} if event is None else {"event": event}
    return Video(
        video_id=video_id, path=f"{video_id}.mp4", sha256=digest(content), size_bytes=1, duration_s=1, fps=1, width=1,
        height=1, codec="h264", video_streams=1, has_audio=False, complete=True, metadata=metadata,
    )  # fmt: skip


@st.composite
def collections(draw: st.DrawFn, least: int = 1) -> list[Video]:
    number = draw(st.integers(least, 40))
    contents = st.sampled_from([f"c{i}" for i in range(30)])
    events = st.one_of(st.none(), st.sampled_from(["flood", "fire", " flood", "", 7, "7"]))
    return [video(f"v{i}", draw(contents), draw(events)) for i in range(number)]


@given(videos=collections(), seed=st.integers(0, 5))
def test_duplicates_and_events_never_straddle(videos: list[Video], seed: int) -> None:
    splits = split_videos(videos, ExportSettings(train=0.5, validation=0.2, seed=seed))
    assert set(splits) == {video.video_id for video in videos}
    for key in ("sha256", "event"):
        placed: dict[str, set[str]] = {}
        for video in videos:
            value = video.sha256 if key == "sha256" else str(video.metadata.get("event") or "").strip()
            if value:
                placed.setdefault(value, set()).add(splits[video.video_id])
        assert all(len(found) == 1 for found in placed.values())


@given(videos=collections(least=2), order=st.randoms())
def test_the_order_of_the_videos_does_not_matter(videos: list[Video], order: Any) -> None:
    shuffled = list(videos)
    order.shuffle(shuffled)
    assert split_videos(shuffled, SETTINGS) == split_videos(videos, SETTINGS)


@given(names=st.sets(st.integers(), min_size=60, max_size=120), more=st.sets(st.integers(), max_size=30))
def test_videos_that_are_added_move_nobody(names: set[int], more: set[int]) -> None:
    old = [video(f"v{name}", str(name), None) for name in sorted(names)]
    new = [video(f"v{name}", str(name), f"event {name}") for name in sorted(more - names)]
    before, after = (
        split_videos(old, ExportSettings(validation=0.0)),
        split_videos(old + new, ExportSettings(validation=0.0)),
    )
    assert {video_id: after[video_id] for video_id in before} == before


def test_a_video_that_joins_an_event_takes_its_split() -> None:
    old = [video("a", "1", "flood"), video("b", "2", None), video("c", "3", "fire")]
    groups = video_groups([*old, video("d", "0", "flood"), video("e", "1", None)], {})
    assert groups["a"] == groups["d"] == groups["e"] == video_groups(old, {})["a"] == "event:flood"
    assert groups["b"] == video_groups(old, {})["b"]


@pytest.mark.parametrize("seed", range(3))
def test_shares_hold_within_chance(seed: int) -> None:
    settings = ExportSettings(train=0.7, validation=0.1, seed=seed)
    splits = list(split_groups((f"g{i}" for i in range(20_000)), settings).values())
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        deviation = (share * (1 - share) / 20_000) ** 0.5
        assert splits.count(split) / 20_000 == pytest.approx(share, abs=4 * deviation)


@given(number=st.integers(1, 12), seed=st.integers(0, 50))
def test_small_collections_still_fill_every_split_they_can(number: int, seed: int) -> None:
    splits = split_groups((f"g{i}" for i in range(number)), ExportSettings(seed=seed))
    assert len(set(splits.values())) == min(number, 3)


@given(number=st.integers(1, 12))
def test_a_split_without_a_share_stays_empty(number: int) -> None:
    names = [f"g{i}" for i in range(number)]
    assert set(split_groups(names, ExportSettings(train=0.8, validation=0.2)).values()) <= {"train", "validation"}
    assert set(split_groups(names, ExportSettings(train=0.0, validation=0.0)).values()) == {"test"}


def test_queries_follow_their_source_and_rewrites_their_original() -> None:
    splits = split_queries(
        {
            "q1": QueryRef("v1", None),
            "q2": QueryRef("v2", "q1"),
            "user": QueryRef(None, None),
            "rewrite": QueryRef(None, "user"),
            "tie": QueryRef(None, None),
            "unjudged": QueryRef(None, None),
        },
        {"user": ["v1", "v2", "v4"], "tie": ["v1", "v2"]},
        {"v1": "train", "v2": "test", "v4": "train"},
        SETTINGS,
    )
    assert splits["q1"] == splits["q2"] == "train"
    assert splits["user"] == splits["rewrite"] == "train"
    assert splits["tie"] == "test"
    assert splits["unjudged"] in {"train", "validation", "test"}


def test_nothing_held_out_is_used_in_training() -> None:
    assert may_use("train", "train") and not may_use("train", "validation") and not may_use("train", "test")
    assert may_use("validation", "train") and not may_use("validation", "test")
    assert may_use("test", "train") and may_use("test", "validation") and may_use("test", "test")


def test_near_duplicates_share_a_split() -> None:
    videos = [video(f"v{i:02d}", f"c{i}", "flood" if i == 0 else None) for i in range(60)]
    copies = {f"v{i:02d}": f"v{i // 20 * 20:02d}" for i in range(60) if i % 20 < 15}
    groups = video_groups(videos, copies)
    assert groups["v00"] == groups["v14"] == "event:flood" and groups["v20"] == groups["v34"] == "recording:v20"
    assert groups["v15"].startswith("sha256:")
    assert video_groups(reversed(videos), copies) == groups
    splits = split_videos(videos, ExportSettings(train=0.4, validation=0.3), copies)
    for first in ("v00", "v20", "v40"):
        assert len({splits[name] for name, group in copies.items() if group == first}) == 1
