"""Copies of one recording found, twins and templates told apart, on a world rendered for the purpose."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("imagehash", reason='needs pip install "hardcut[vision]"')

from benchmarks.copies import WAYS, altered_copies
from hardcut.media import meetings
from hardcut.media.altered import altered_hashes
from hardcut.media.duplicates import FRAMES, Fingerprint, families, fingerprint, group_pairs
from hardcut.media.ingest import ingest
from hardcut.media.meetings import CROWD, HashTable, candidate_pairs, look_alike, pairs_with_shared_key
from hardcut.media.recordings import same_recording
from hardcut.schemas.copies import Copy, Group
from hardcut.schemas.settings import MediaSettings

COPIES = {
    "worse": {"crf": "36"},
    "small": {"scale": 0.5},
    "late": {"since": 0.2},
    "short": {"until": 0.8},
}
FAMILIES = ("ball", "door", "lift", "passers", "reel")


def copy(source: Path, target: Path, *, crf: str = "28", scale: float = 1.0, since: float = 0.0, until: float = 1.0):
    """Re-encodes a stretch (shares of the length) of a video without rotation."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = given.streams.video[0]
        pictures = [(frame.time, frame) for frame in given.decode(stream)]
        end = pictures[-1][0]
        width, height = (int(side * scale) // 2 * 2 for side in (stream.width, stream.height))
        out = made.add_stream("libx264", rate=30, options={"crf": crf, "preset": "veryfast", "threads": "1"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        out.codec_context.time_base = Fraction(1, 1000)
        for time, frame in pictures:
            if since * end <= time <= until * end:
                small = frame.reformat(width, height, "yuv420p")
                small.time_base, small.pts = Fraction(1, 1000), round((time - since * end) * 1000)
                made.mux(out.encode(small))
        made.mux(out.encode(None))


def fingerprints(paths: dict[str, Path], store: Path) -> dict[str, Fingerprint]:
    return {
        name: fingerprint(ingest(str(path), str(store), MediaSettings()).frames.spread(FRAMES))
        for name, path in paths.items()
    }


def found(prints: dict[str, Fingerprint]) -> dict[str, str]:
    altered = {name: altered_hashes(made.thumbnails) for name, made in prints.items()}
    near = candidate_pairs({name: made.hashes for name, made in prints.items()}, altered)
    return group_pairs((a, b) for a, b in near if same_recording(prints[a], prints[b]) is not None)


def pairs(group_of: dict[str, str]) -> set[tuple[str, str]]:
    return {(a, b) for a, b in combinations(sorted(group_of), 2) if group_of[a] == group_of[b]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader", reason="the speech of a world needs hardcut[render]")
    from hardcut.data.fonts import Fonts
    from hardcut.data.render import render_world
    from hardcut.data.world import make_world

    out = tmp_path_factory.mktemp("world") / "out"
    render_world(make_world(515, 11, scripts=("latin",), families=FAMILIES), out, Fonts())
    return out


def test_precision_and_recall_on_a_fresh_world(world, tmp_path):
    truth: dict[str, str] = {}
    for line in (world / "truth.jsonl").read_text().splitlines():
        record = json.loads(line)
        copies = [r["video_id"] for r in record["relations"] if r["kind"] == "near_duplicate"]
        truth[record["video_id"]] = min([record["video_id"], *copies])
    paths = {name: next((world / "videos").glob(f"{name}.*[4m]")) for name in truth}
    kinds = sorted(COPIES)
    for number, name in enumerate(sorted(paths)):
        for kind in (kinds[number % 4], kinds[(number + 2) % 4]):
            target = tmp_path / f"{number}-{kind}.mp4"
            copy(paths[name], target, **COPIES[kind])
            paths[f"{name}@{kind}"] = target
            truth[f"{name}@{kind}"] = truth[name]
    expected, got = pairs(truth), pairs(found(fingerprints(paths, tmp_path / "store")))
    right = len(expected & got)
    precision, recall = right / len(got), right / len(expected)
    print(f"{len(paths)} videos: precision {precision:.3f}, recall {recall:.3f}")
    print("missed", sorted(expected - got)[:20], "wrong", sorted(got - expected)[:20])
    assert precision >= 0.98 and recall >= 0.98


def test_a_clip_in_reverse_is_another(shared_videos, tmp_path):
    paths = {}
    for source in [path for path in shared_videos if path.parent.name == "signs"][:4]:
        with av.open(str(source)) as given, av.open(str(tmp_path / f"{source.stem}.mkv"), "w") as made:
            stream = given.streams.video[0]
            pictures = list(given.decode(stream))
            out = made.add_stream("libx264", rate=30, options={"crf": "20"})
            out.width, out.height, out.pix_fmt = stream.width, stream.height, "yuv420p"
            for number, frame in enumerate(reversed(pictures)):
                frame.pts, frame.time_base = number, Fraction(1, 30)
                frame.pict_type = 0
                made.mux(out.encode(frame.reformat(format="yuv420p")))
            made.mux(out.encode(None))
        copy(source, tmp_path / f"{source.stem}-copy.mp4", scale=0.5)
        paths |= {source.stem: source, f"{source.stem}-reversed": tmp_path / f"{source.stem}.mkv"}
        paths |= {f"{source.stem}-copy": tmp_path / f"{source.stem}-copy.mp4"}
    got = pairs(found(fingerprints(paths, tmp_path / "store")))
    assert got == {(name, f"{name}-copy") for name in paths if "-" not in name}


@pytest.fixture(scope="module")
def altered_clip(shared_videos, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fingerprint]:
    """A sign clip that nobody rendered, altered in each way of the benchmark."""
    [clip] = [path for path in shared_videos if path.name == "again.mkv"]
    folder = tmp_path_factory.mktemp("altered")
    (folder / "clip").mkdir()
    (folder / "clip" / clip.name).symlink_to(clip.resolve())
    [made] = altered_copies(folder / "clip", list(WAYS)).values()
    return made


@pytest.mark.parametrize("way", list(WAYS))
def test_an_altered_copy_is_found_by_its_word(altered_clip: dict[str, Fingerprint], way: str) -> None:
    one, other = altered_clip["encoded again"], altered_clip[way]
    hashes = {"a": one.hashes, "b": other.hashes}
    altered = {name: altered_hashes(each.thumbnails) for name, each in (("a", one), ("b", other))}
    assert list(candidate_pairs(hashes, altered)) == [("a", "b")]
    assert same_recording(one, other) == same_recording(other, one) == {WAYS[way][2]} - {""}


def test_a_family_is_a_recording_whichever_way_round() -> None:
    mirrored = (Copy(video_id="c", changes=("mirrored",)),)
    groups = [Group(video_id=name, group_id="a", size=2, copies=mirrored if name == "b" else ()) for name in "ab"]
    assert families([*groups, Group(video_id="c", group_id="c", size=1)]) == {"a": "a", "b": "a", "c": "a"}
    assert groups[1].mirrored == ("c",) and groups[0].mirrored == ()


def test_candidates_meet_by_parts_and_crowds_do_not():
    rng = np.random.default_rng(3)
    hashes = {f"v{i:05d}": [int(v) for v in rng.integers(0, 2**63, 8)] for i in range(2000)}
    hashes["copy"] = [value ^ 0b101 for value in hashes["v00007"]]
    for values in hashes.values():
        values.append(0)  # a black picture in all of them
    assert list(candidate_pairs(hashes)) == [("copy", "v00007")]


def test_groups_are_closed_and_named_by_their_first():
    assert group_pairs([("c", "d"), ("b", "c"), ("x", "y")]) == {"b": "b", "c": "b", "d": "b", "x": "x", "y": "x"}
    assert group_pairs([]) == {}


def test_one_frame_and_any_shape(tmp_path, render):
    paths = {name: render(f"{name}.mkv", count=count, size=size, codec="ffv1", pix_fmt="yuv444p").path
             for name, count, size in (("one", 1, (64, 48)), ("again", 1, (128, 96)), ("tiny", 3, (1, 1)))}  # fmt: skip
    prints = fingerprints(paths, tmp_path / "store")
    assert same_recording(prints["one"], prints["again"]) == frozenset()
    assert same_recording(prints["one"], prints["tiny"]) is None
    assert found(prints) == {"one": "again", "again": "again"}


def test_those_that_share_a_key_meet_once() -> None:
    rng = random.Random(1)
    keys, owners = ([rng.randrange(many) for _ in range(4000)] for many in (180, 90))
    sharing: defaultdict[int, set[int]] = defaultdict(set)
    for key, owner in zip(keys, owners, strict=True):
        sharing[key].add(owner)
    keys += [999] * (CROWD + 1)
    owners += range(100, 101 + CROWD)
    wanted = {pair for those in sharing.values() for pair in combinations(sorted(those), 2)}
    assert list(pairs_with_shared_key(keys, owners)) == sorted(wanted) and len(wanted) > 1000
    assert list(pairs_with_shared_key([], [])) == [] == list(candidate_pairs({}))


def test_the_many_do_not_meet_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4,000 videos of unlike pictures those alone are laid beside each other that a re-encoding parted by 4 bits."""
    rng = random.Random(2)
    hashes = {f"v{number:04}": [rng.getrandbits(64) for _ in range(FRAMES)] for number in range(4000)}
    for number in range(0, 400, 2):
        noise = (sum(1 << bit for bit in rng.sample(range(64), 4)) for _ in range(FRAMES))
        hashes[f"v{number + 1:04}"] = [
            value ^ flipped for value, flipped in zip(hashes[f"v{number:04}"], noise, strict=True)
        ]
    looked = 0

    def all_alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        nonlocal looked
        looked += len(one)
        return np.ones(len(one), dtype=bool)

    monkeypatch.setattr(meetings, "_look_alike", all_alike)
    met = set(candidate_pairs(hashes))
    assert {(f"v{number:04}", f"v{number + 1:04}") for number in range(0, 400, 2)} <= met
    assert looked < 300


def test_a_table_of_hashes_gives_what_was_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    plain = {f"v{at}": rng.integers(0, 1 << 64, at + 1, dtype=np.uint64) for at in range(30)}
    ways = {name: rng.integers(0, 1 << 64, (3, 2), dtype=np.uint64) for name in plain}
    for found, given in ((HashTable(plain.items()), plain), (HashTable(ways.items()), ways)):
        assert list(found) == list(given) and len(found) == 30 and "v30" not in found
        assert all(np.array_equal(found[name], given[name]) for name in given)
    near = {f"n{at}": hashes ^ np.uint64(0b11) for at, hashes in enumerate(plain.values())}
    wanted = [(f"n{at}", f"v{at}") for at in range(30)]
    assert list(candidate_pairs(HashTable((plain | near).items()), HashTable(ways.items()))) == sorted(wanted)
    monkeypatch.setattr(meetings, "_AT_ONCE", 50)  # in many parts it is the same
    assert list(candidate_pairs(plain | near, ways)) == sorted(wanted)


def test_videos_look_alike_by_the_median_of_their_frames() -> None:
    bits = [(1 << 14) - 1, (1 << 15) - 1]
    assert look_alike([0, 0, 0], [bits[0]]) and not look_alike([0, 0, 0], [bits[1]])
    assert look_alike([0, ~0 & (1 << 64) - 1], [0])  # all of the second video is in the first
