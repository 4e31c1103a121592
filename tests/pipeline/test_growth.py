"""A collection that grows: what was paid for or said by people stays, and only new work is called.

The bundled sample comes in three parts, in random order, with a model teacher over HTTP and with reviews.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hardcut.data.bundled import sample_files
from hardcut.data.world import make_world
from hardcut.engine.progress import NullProgress
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.gc import collect_garbage
from hardcut.pipeline.run_export import Choices, export_run
from hardcut.publish.dataset import Dataset
from hardcut.schemas.base import Record
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import TURNED, Dropped, Pair, Query, TeacherLabel, Video
from hardcut.schemas.twin import Twin

REAL = Path(__file__).resolve().parents[3] / "shared" / "videos"
FILMED = ("moving", "signs", "space", "street")
THINGS = (
    *("a lamp", "the rain", "two dogs", "a red car", "a song", "some bread", "an old map", "a ladder", "the sea"),
    *("a clock", "three birds", "a green door", "the train", "a letter", "a wooden boat", "the snow", "a kite"),
)
BASE: dict[str, Any] = {
    "evidence.ocr": "off", "evidence.motion": False, "evidence.shots": False, "resources.workers": 1,
    "negatives.per_query": 3, "export.licence": "cc0-1.0", "export.group_by": [],
}  # fmt: skip
R = TypeVar("R", bound=Record)


@pytest.fixture(scope="module")
def sample() -> Iterator[Path]:
    with sample_files() as folder:
        yield folder / "videos"


class Growing:
    """A folder of videos that grows, and its run."""

    def __init__(self, folder: Path, sample: Path, url: str, seed: int, **settings: Any) -> None:
        self.folder, self.sample, self.run = folder, sample, folder / "run"
        self.settings = load_settings(None, {**BASE, "teacher.spec": f"openai:judge@{url}", **settings})
        self.cache = Cache(folder / "cache")
        self.clips = sorted(path for path in sample.rglob("*") if path.suffix in (".mp4", ".mkv"))
        random.Random(seed).shuffle(self.clips)

    def start(self, size: int, until: str | None = None) -> None:
        """Runs over the first `size` videos of the order."""
        for clip in self.clips[:size]:
            for file in clip.parent.glob(f"{clip.stem}.*"):
                target = self.folder / "videos" / file.relative_to(self.sample)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    shutil.copy2(file, target)
        job = Job(self.folder / "videos", self.run, self.settings, self.cache, until=until)
        asyncio.run(carry_out(job, NullProgress()))
        assert read_status(self.run).failed == (), "what fails is asked again, which no count of calls allows for"

    def read(self, kind: type[R]) -> dict[str, R]:
        return {record.id: record for record in read_records(self.run / kind.FILE, kind)}

    def lines(self) -> dict[str, list[str]]:
        """The reasons in dropped.jsonl, by item."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for each in self.read(Dropped).values():
            found[each.item].append(each.reason)
        return found

    def calls(self) -> Counter[str]:
        """Calls of teachers, by stage."""
        return Counter({each.stage: each.calls for each in read_status(self.run).spend if each.stage})

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.run.glob("*.jsonl")}

    def review(self, number: int, seed: int) -> set[str]:
        """People answer some of the pairs."""
        queries, videos = self.read(Query), self.read(Video)
        chosen = random.Random(seed).sample(sorted(self.read(Pair).items()), number)
        with (self.run / Review.FILE).open("a") as file:
            write_records(file, (_answer(pair, queries[pair.query_id], videos[pair.video_id]) for _, pair in chosen))
        lines = sorted((self.run / Review.FILE).read_text().splitlines(keepends=True), key=lambda line: line)
        reviews = sorted({line.split('"review_id":"')[1].split('"')[0]: line for line in lines}.items())
        (self.run / Review.FILE).write_text("".join(line for _, line in reviews))
        return {pair_id for pair_id, _ in chosen}


def _answer(pair: Pair, query: Query, video: Video) -> Review:
    ids = {"pair_id": pair.pair_id, "query_id": pair.query_id, "video_id": pair.video_id}
    return Review.create(
        **ids, query_digest=digest(query.text), video_sha256=video.sha256, reviewer="ada", relevance=0, blind=True,
        status="submitted",
    )  # fmt: skip


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty clips of a world that no other test knows."""
    pytest.importorskip("espeakng_loader", reason='worlds are made with pip install "hardcut[render]"')
    from hardcut.data.render import render_world

    folder = tmp_path_factory.mktemp("rendered")
    render_world(make_world(733, 30, scripts=("latin",)), folder)
    return folder / "videos"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("world", "sizes"), [("sample", (10, 17, 25)), ("rendered", (10, 20, 30))])
def test_a_collection_grows_twice_in_random_order(
    tmp_path: Path, world: str, sizes: tuple[int, ...], request: pytest.FixtureRequest, teacher_server: Any
) -> None:
    grown = Growing(tmp_path, request.getfixturevalue(world), teacher_server.url, seed=5)
    pairs, judged, reviewed, dataset = dict[str, Pair](), dict[str, Judgment](), set[str](), None
    lost = 0
    for step, size in enumerate(sizes):
        labels = {each.pair_id for each in grown.read(TeacherLabel).values()} if step else set()
        before = grown.calls() if step else Counter[str]()
        grown.start(size)
        now, told = grown.read(Judgment), grown.lines()
        assert reviewed <= now.keys(), "no pair that people answered is lost"
        assert all(now[id].source == "human" for id in reviewed)
        assert pairs.keys() <= grown.read(Pair).keys(), "no pair that was scored is lost"
        gone = judged.keys() - now.keys()
        lost += len(gone)
        assert all(told[id] for id in gone), "what leaves has its line"

        called = grown.calls() - before
        new = {each.pair_id for each in grown.read(TeacherLabel).values()} - labels
        alone = _alone(grown, tmp_path / f"alone{step}", size, sizes[step - 1] if step else 0)
        for stage in ("captions", "queries"):
            assert called[stage] <= alone[stage], (stage, "no more than for the new videos alone")
        most = 1.25 * alone["counterfactuals"]  # they exchange things of neighbours, who are others in a run alone
        assert called["counterfactuals"] <= most, "nor here: for all videos it would be twice as many"
        assert called["scores"] <= 2 * len(new), "each new pair by all that is seen, and by metadata alone"

        previous, dataset = dataset, tmp_path / f"data{step}"
        summary = export_run(grown.run, dataset, Choices(like=previous))
        moved = next(result for result in summary.gate if result.name == "moved_splits")
        assert moved.state == ("passed" if previous else "off"), moved
        if previous:
            _no_test_query_trains(previous, dataset)
        files = grown.files()
        grown.start(size)
        assert grown.files() == files and grown.calls() - before == called, "nothing is left to do"
        pairs, judged = grown.read(Pair), now
        reviewed |= grown.review(12, step)
    print(f"{len(judged)} judgments in the end, {lost} lost on the way, each with its line")


def _alone(grown: Growing, folder: Path, size: int, known: int) -> Counter[str]:
    """The calls for the new videos in a run of their own."""
    alone = Growing(folder, grown.sample, "", 0)
    alone.settings, alone.clips = grown.settings, grown.clips[known:size]
    alone.start(size - known, until="counterfactuals")
    return alone.calls()


def _no_test_query_trains(old: Path, new: Path) -> None:
    for config, key in (("queries", "query_id"), ("corpus", "video_id")):
        was = {row[key]: split for split, row in Dataset(old).rows(config, (key,))}
        now = {row[key]: split for split, row in Dataset(new).rows(config, (key,))}
        assert all(now.get(id, split) == split for id, split in was.items())
    held = {row["query"] for split, row in Dataset(old).rows("queries", ("query",)) if split != "train"}
    assert not held & {row["query"] for split, row in Dataset(new).rows("queries", ("query",)) if split == "train"}


@pytest.mark.timeout(600)
def test_the_pairs_are_those_of_a_fresh_run_but_for_what_was_kept(
    tmp_path: Path, sample: Path, teacher_server: Any
) -> None:
    """And a start that ends on the way and goes on leaves the same bytes."""
    grown = Growing(tmp_path / "grown", sample, teacher_server.url, seed=3)
    grown.start(6)
    first = grown.read(Pair)
    shutil.copytree(grown.folder, tmp_path / "stopped")
    grown.start(10)
    stopped = Growing(tmp_path / "stopped", sample, teacher_server.url, seed=3)
    for until in ("evidence", "negatives", None):
        stopped.start(10, until)
    assert stopped.files() == grown.files()
    fresh = Growing(tmp_path / "fresh", sample, teacher_server.url, seed=3)
    fresh.start(10)
    found, alone = grown.read(Pair), fresh.read(Pair)
    both = {pair.query_id for pair in found.values()} & {pair.query_id for pair in alone.values()}
    assert first.keys() <= found.keys() and len(both) > 10, "counterfactuals go by neighbours, and stay as written"
    expected = {id for id, pair in (first | alone).items() if pair.query_id in both}
    assert {id for id, pair in found.items() if pair.query_id in both} == expected > alone.keys() & expected
    held = {pair.query_id for pair in found.values()} - both
    assert held <= {pair.query_id for pair in first.values()}, "a query that was scored stays, a new one may repeat it"
    assert set(grown.read(KeptPair)) == set(first)

    other = Growing(tmp_path / "grown", sample, teacher_server.url, seed=3, **{"negatives.keep": "reviewed"})
    kept = {id for id, pair in first.items() if id not in alone and pair.query_id in both}
    answered = other.review(40, 1) & kept
    other.start(10)
    told = other.lines()
    assert answered and answered <= other.read(Pair).keys()
    assert all(told[id] == ["displaced"] for id in kept - answered) and kept - answered


@pytest.mark.timeout(300)
def test_a_video_that_is_taken_out_leaves_a_line_for_each_of_its_pairs(
    tmp_path: Path, sample: Path, teacher_server: Any
) -> None:
    grown = Growing(tmp_path, sample, teacher_server.url, seed=2)
    grown.start(6)
    pairs = grown.read(Pair)
    gone = grown.clips[0]
    for file in (tmp_path / "videos").rglob(f"{gone.stem}.*"):
        file.unlink()
    grown.start(0)
    left, told = pairs.keys() - grown.read(Pair).keys(), grown.lines()
    video_id = gone.relative_to(sample).with_suffix("").as_posix()
    assert left and all(told[id][0] in ("video_gone", "query_gone", "query_left_out") for id in left)
    assert any(pair.video_id == video_id and told[id] == ["video_gone"] for id, pair in pairs.items() if id in left)


@pytest.mark.timeout(300)
def test_what_settings_that_are_no_more_left_is_freed(tmp_path: Path, sample: Path, teacher_server: Any) -> None:
    grown = Growing(tmp_path, sample, teacher_server.url, seed=2)
    grown.start(4)
    other = Growing(tmp_path, sample, teacher_server.url, seed=2, **{"captions.max_words": 12})
    with pytest.raises(UsageError, match=r"not finished \(.*judgments.*\): start `hardcut run` again"):
        other.start(4, until="captions")
        collect_garbage(grown.run, grown.cache)
    other.start(4)
    files, calls = other.files(), other.calls()
    freed = collect_garbage(grown.run, grown.cache)
    assert freed.results > 4 and freed.bytes > 0
    assert collect_garbage(grown.run, grown.cache).results == 0
    assert {**other.files(), KeptPair.FILE: b""} == {**files, KeptPair.FILE: b""}, "what is in force stays"
    assert set(other.read(KeptPair)) <= set(other.read(Pair))
    other.start(4)
    assert other.calls() == calls
    grown.start(4)
    assert grown.calls() == calls, "and going back asks nobody"


@pytest.mark.timeout(300)
def test_replies_that_nothing_asks_for_any_more_are_told_and_go_on_a_word(
    tmp_path: Path, sample: Path, teacher_server: Any
) -> None:
    """What a present setting or another run asks for stays, and so does all that nobody noted."""
    grown = Growing(tmp_path / "one", sample, teacher_server.url, seed=2)
    grown.start(4)
    assert collect_garbage(grown.run, grown.cache, replies=True).replies.replies == 0, "all is in force"
    short = Growing(tmp_path / "one", sample, teacher_server.url, seed=2, **{"captions.max_words": 12})
    short.start(4)
    calls = short.calls()
    told = collect_garbage(grown.run, grown.cache).replies
    assert told.replies > 3 and told.bytes > 0 and not told.freed
    assert collect_garbage(grown.run, grown.cache).replies == told, "nothing is freed without a word"

    other = Growing(tmp_path / "two", sample, teacher_server.url, seed=2)
    other.cache = grown.cache
    other.start(4)
    assert not any(other.calls().values()), "another run has all its replies from the first settings of this one"
    assert collect_garbage(grown.run, grown.cache).replies.replies == 0, "and keeps them from now on"
    shutil.rmtree(other.run)
    other.start(4)
    assert not any(other.calls().values())
    shutil.rmtree(other.run)
    assert collect_garbage(other.run, grown.cache, replies=True).replies.freed, "that run is no more"
    with pytest.raises(UsageError, match="no run is there"):
        collect_garbage(other.run, grown.cache, replies=True)

    freed = collect_garbage(grown.run, grown.cache, replies=True).replies
    assert freed.freed and freed.replies == told.replies
    assert collect_garbage(grown.run, grown.cache, replies=True).replies.replies == 0
    shutil.rmtree(short.run)
    short.start(4)
    assert not any(short.calls().values()), "the present settings have all their replies"
    shutil.rmtree(short.run)
    grown.start(4)
    assert 0 < sum(grown.calls().values()) < sum(calls.values()), "those of the first settings are asked again"


def test_replies_of_a_cache_that_noted_no_uses_stay(tmp_path: Path, sample: Path, teacher_server: Any) -> None:
    grown = Growing(tmp_path, sample, teacher_server.url, seed=2)
    grown.start(3)
    with closing(sqlite3.connect(grown.cache.replies)) as replies:  # as the version before wrote it
        replies.executescript("DROP TABLE used; DROP TABLE holder; DROP TABLE present; PRAGMA user_version = 2")
    other = Growing(tmp_path, sample, teacher_server.url, seed=2, **{"captions.max_words": 12})
    assert collect_garbage(grown.run, grown.cache, replies=True).replies.replies == 0
    other.start(3)
    assert collect_garbage(grown.run, grown.cache, replies=True).replies.replies == 0
    calls = grown.calls()
    grown.start(3)
    assert grown.calls() == calls


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Clips that people filmed, each with a title and something that is said, as their uploaders would give them."""
    clips = [path for path in sorted(REAL.rglob("*")) if path.suffix in (".mp4", ".mkv") and path.parent.name in FILMED]
    folder = tmp_path / "real"
    folder.mkdir()
    for number, clip in enumerate(clips):
        shutil.copy2(clip, folder / clip.name)
        (folder / f"{clip.stem}.json").write_text(json.dumps({"title": f"{clip.stem} number {number}, as filmed"}))
        said = f"Here somebody shows what {clip.stem.replace('_', ' ')} looks like, and {THINGS[number]} comes after."
        (folder / f"{clip.stem}.srt").write_text(f"1\n00:00:00,100 --> 00:00:01,500\n{said}\n")
    return folder


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips (../shared/videos) are not on this machine")
def test_real_clips_in_two_orders_end_with_the_same_pairs_but_for_what_was_kept(
    tmp_path: Path, real: Path, teacher_server: Any
) -> None:
    ends = []
    for seed in (11, 12):
        grown = Growing(tmp_path / str(seed), real, teacher_server.url, seed=seed, **{"evidence.motion": True})
        judged, reviewed, dataset, turned = set[str](), set[str](), None, dict[str, Query]()
        for step, size in enumerate((5, 9, len(grown.clips))):
            before = grown.calls() if step else Counter[str]()
            labels, twins = (set(grown.read(kind)) if step else set[str]() for kind in (TeacherLabel, Twin))
            grown.start(size)
            now, told = grown.read(Judgment), grown.lines()
            assert reviewed <= {id for id, each in now.items() if each.source == "human"}
            assert all(told[id] for id in judged - now.keys()), "what leaves has its line"
            called = grown.calls() - before
            alone = _alone(grown, tmp_path / f"alone{seed}{step}", size, (0, 5, 9)[step])
            brought = [twin for id, twin in grown.read(Twin).items() if step and id not in twins]
            print(f"clips {size}: {dict(called)}, the new ones alone {dict(alone)}, twins that came {len(brought)}")
            assert called["captions"] <= alone["captions"]
            assert called["queries"] <= alone["queries"] + len(brought), "a composed query for each twin"
            # What is exchanged comes from neighbours, others in a larger collection: more or fewer are to be judged.
            assert called["counterfactuals"] <= 1.25 * alone["counterfactuals"]
            made = {id: each for id, each in grown.read(Query).items() if each.variant in TURNED}
            assert turned.items() <= made.items(), "those of the videos before are not written again"
            turned = made
            assert called["scores"] <= 2 * len(set(grown.read(TeacherLabel)) - labels)
            previous, dataset = dataset, grown.folder / f"data{step}"
            export_run(grown.run, dataset, Choices(like=previous))
            if previous:
                _no_test_query_trains(previous, dataset)
            judged, reviewed = set(now), reviewed | grown.review(8, step)
        kept = grown.read(KeptPair)
        ends.append((grown.read(Pair), set(kept), grown.read(Query)))
    (first, held, queries), (second, also_held, others) = ends
    both = queries.keys() & others.keys()
    assert len(both) > 20
    for pairs, noted, other in ((first, held, second), (second, also_held, first)):
        only = {id for id, pair in pairs.items() if pair.query_id in both} - other.keys()
        assert only <= noted, "a pair of one order alone is one that was kept"
