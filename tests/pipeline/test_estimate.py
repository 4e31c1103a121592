"""What a plan says of calls whose records do not exist yet, held against what the stage asks."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.stage import Output, Source, Unit
from hardcut.media.frames import Frame
from hardcut.pipeline.amounts import Amount, Guess
from hardcut.pipeline.expected import Expected, Repeats
from hardcut.pipeline.lengths import Asked, Lengths
from hardcut.pipeline.preview import Question, RunRecords
from hardcut.pipeline.spread import intervals
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Caption, Evidence, Query, Sampling, TeacherRef, Tokens, Video
from hardcut.schemas.settings import Settings
from hardcut.synth.queries import QueryStage
from hardcut.teacher.protocol import Outcome, Request, Task
from hardcut.teacher.rules.teacher import EvidenceTeacher

INPUTS = Path(__file__).parents[1] / "golden" / "inputs.tar.xz"


class Counting(EvidenceTeacher):
    """Counts what it is asked, with frames and without."""

    def __init__(self) -> None:
        self.asked = [0, 0]

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        for request in requests:
            self.asked[not request.frames] += request.task == "queries"
        return await super().complete(requests)


class OneFrame:
    sampling = "one"

    def leased(self, video: Video) -> Any:
        from contextlib import nullcontext

        from hardcut.media.frames import Frame, FrameSet

        return nullcontext(FrameSet((Frame(Path("0.jpg"), 0.0, "0" * 64),), video.duration_s, True))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over nine clips that came to its evidence; its captions beside it."""
    folder = tmp_path_factory.mktemp("inputs")
    with tarfile.open(INPUTS) as packed:
        packed.extractall(folder, filter="data")
    (folder / "run").mkdir()
    for kind in (Video, Evidence):
        shutil.copy(folder / "records" / kind.FILE, folder / "run")
    return folder


def spec() -> Settings:
    return Settings.model_validate({"teacher": {"spec": "openai:m@http://127.0.0.1:9/v1"}})


def calls(expected: Expected, stage: str, guess: Guess = "usual", **more: Any) -> list[float]:
    """Of a stage, with frames and without."""
    found = [0.0, 0.0]
    for kind, amount in expected.amounts(guess, **more).items():
        if kind.stage == stage:
            found[not kind.shown] += amount.calls
    return found


def test_with_evidence_the_calls_for_queries_are_exact(known: Path) -> None:
    records = RunRecords(known / "run")
    files: Any = [SimpleNamespace(video_id=id, metadata={}) for id in records.videos]
    settings = spec()
    teacher = Counting()
    stage = QueryStage(teacher, OneFrame(), Sampling(), settings.queries)  # type: ignore[arg-type]
    captions = {each.video_id: each for each in read_records(known / "records" / Caption.FILE, Caption)}
    for video_id in records.videos:
        told = [each for each in records.reference(video_id).records if not isinstance(each, Caption)]
        caption = captions.get(video_id) or Caption.create(
            video_id=video_id, text="-", teacher=TeacherRef(backend="t", model="t")
        )
        asyncio.run(stage.run(Unit(video_id, (*told, caption))))
    found = calls(Expected(settings, records, files), "queries")
    assert found == teacher.asked and sum(teacher.asked) < 5 * len(files)


def test_before_there_is_evidence_a_plan_says_from_where_to_where(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    files: Any = [
        SimpleNamespace(video_id="a", metadata={"title": "A mill"}),
        SimpleNamespace(video_id="b", metadata={}),
    ]
    found = Expected(spec(), RunRecords(tmp_path / "run"), files)
    assert calls(found, "captions", "least") == [4, 0] and calls(found, "captions", "most") == [2 * (1 + 2 + 1), 0]
    assert calls(found, "queries", "least") == [2, 2 + 1], "caption and all are always asked for, and what is there"
    assert calls(found, "queries", "most") == [2 + 2, 4 + 3], "speech and text too, and a look for what is denied"
    assert calls(found, "counterfactuals", "most") == [2 * 4 * (1 + 4) * 3, 0], "written and judged, thrice"
    assert not sum(calls(found, "counterfactuals", "least") + calls(found, "scores", "least"))
    spread = intervals(found, {})
    usual = sum(sum(calls(found, stage)) for stage in ("captions", "queries", "counterfactuals", "scores"))
    assert spread[None].low == 4 + 5 and spread[None].low < usual < spread[None].high


def asked(stage: str, video: str, teacher: Any, frames: int, kept: bool = True) -> Question:
    request = Request("caption", {}, Sampling(), tuple([Frame(Path("0.jpg"), 0.0, "0" * 64)] * frames))
    return Question(stage, video, teacher, request, kept, False)


def test_calls_of_a_stage_are_learned_from_the_videos_it_is_done_with(known: Path) -> None:
    records = RunRecords(known / "run")
    videos = sorted(records.videos)
    files: Any = [SimpleNamespace(video_id=id, metadata={}) for id in videos]
    settings = spec()
    heard = [asked("captions", video, settings.teacher, frames) for video in videos[:6] for frames in (1, 1, 1, 0)]
    for done in (4, 6):  # four are too few: the settings say a caption and a check of each
        records.settled["captions"] = set(videos[:done])
        records.videos_with[Caption] = set(videos[:done])
        found = calls(Expected(settings, records, files, heard[: 4 * done]), "captions")
        left = len(videos) - done
        assert found == pytest.approx([2 * left, 0] if done == 4 else [3 * left, left])
    begun = [*heard, asked("captions", videos[6], settings.teacher, 1, kept=False)]
    found = calls(Expected(settings, records, files, begun), "captions")
    assert found == pytest.approx([3 * left - 1, left]), "what is known of a video is not expected of it too"
    other = calls(Expected(settings, records, files, begun), "captions", without=set(videos[:2]))
    assert other == pytest.approx([3 * left - 1, left]), "four of the six say the same"
    records.videos_with[Caption].remove(videos[0])
    lost = calls(Expected(settings, records, files, begun), "queries")
    records.videos_with[Caption].add(videos[0])
    assert sum(lost) < sum(calls(Expected(settings, records, files, begun), "queries"))


@pytest.mark.parametrize("alike", [True, False])
def test_the_more_queries_there_are_the_more_say_the_same(tmp_path: Path, alike: bool) -> None:
    """Forty of four hundred queries are known. Of every two one says what the other says, or none does: among ten times
    as many more of them say the same, or still none."""
    (tmp_path / "run").mkdir()
    colours, things = (
        ("red", "blue", "green", "white", "black"),
        ["kite", "boat", "dog", "mill", "tram", "goat", "sign", "ball"],
    )
    texts = [f"a {colour} {thing} in the rain" for colour in colours for thing in things]
    texts = [texts[at % 20] if alike else texts[at] for at in range(40)]
    teacher = TeacherRef(backend="t", model="t")
    queries = [
        Query.create(text=text, language="en", view="caption", kind="event", source_video_id=f"v{at}", teacher=teacher)
        for at, text in enumerate(texts)
    ]
    records = RunRecords(tmp_path / "run")
    records.queries = {query.id: query for query in queries}
    expected = Expected(spec(), records, [])
    ids = [query.id for query in queries]
    assert expected.kept_of(ids) == (0.5 if alike else 1.0)
    share = Repeats(expected, sorted(ids)).share(400)
    assert share == 1.0 if not alike else 0.005 < share < 0.5


def test_tokens_of_letters_and_of_pictures_are_told_apart() -> None:
    """A teacher that counts five letters a token and 300 a picture is read off what it counted."""
    settings = spec()

    def question(task: Task, letters: int, pictures: int, kept: bool = True) -> Asked:
        counted = Tokens(prompt=letters // 5 + 300 * pictures, completion=letters // 100) if kept else Tokens()
        return Asked(settings.teacher, task, "v", kept, pictures, letters, counted)

    known = [question("queries", 1000 * at, 0) for at in range(1, 6)]
    known += [question("judge", 3000 + 100 * at, 8 + at) for at in range(6)]
    found = Lengths(known, settings)
    assert found.prompt(question("judge", 5000, 4, kept=False)) == pytest.approx(2200, rel=1e-3)
    assert found.prompt_of(settings.teacher, "judge", True, Amount(10, 80)) == pytest.approx(
        10 * 650 + 80 * 300, rel=1e-3
    )
    assert found.reply(settings.teacher, "queries") == 30 and found.reply(settings.teacher, "caption") is None
    alike = Lengths([question("judge", 4000, 8) for _ in range(6)], settings)
    assert alike.prompt(question("judge", 4000, 8, kept=False)) == pytest.approx(3200), "both are scaled"
    unknown = Lengths([question("judge", 3500, 1, kept=False)], settings)
    assert unknown.prompt(question("judge", 3500, 1)) == 1000 + settings.media.max_pixels // 1024


class Told:
    """A stage that makes a video of each unit and stops at the fourth."""

    kind: ClassVar[Any] = "unit"
    name, version, over, reads, makes, settings = "probe", 1, None, (), (Video,), {}

    async def run(self, unit: Unit) -> Output:
        if unit.id == "v3":
            raise BudgetReached("enough")
        facts = {
            "size_bytes": 1,
            "codec": "h264",
            "video_streams": 1,
            "duration_s": 1,
            "fps": 1,
            "width": 8,
            "height": 8,
        }
        return Output(
            records=[Video(video_id=unit.id, path=unit.id, sha256="0" * 64, has_audio=False, complete=True, **facts)]
        )


def test_records_of_a_stage_that_is_under_way_are_there(tmp_path: Path) -> None:
    async def run() -> None:
        with Ledger(tmp_path) as ledger:
            sources = [Source(f"v{at}", "1", None) for at in range(6)]
            await Engine(ledger, concurrency=1).run([Told()], sources)

    with pytest.raises(BudgetReached):
        asyncio.run(run())
    records = RunRecords(tmp_path)
    assert not (tmp_path / Video.FILE).exists() and sorted(records.videos) == ["v0", "v1", "v2"]
    assert records.settled["probe"] == {"v0", "v1", "v2"} and records.settled["captions"] == set()
