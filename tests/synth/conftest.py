"""Hand-made videos and frames for the stages' tests."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.media.frames import Frame, FrameSet
from hardcut.schemas.records import Sampling, TeacherRef, Video
from hardcut.schemas.settings import MediaSettings
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request, Task

MakeVideo = Callable[..., Video]
StoreFrames = Callable[[Sequence[Image.Image], float], list[Frame]]


@pytest.fixture
def make_video() -> MakeVideo:
    """A Video record of 10 s with the fields given."""

    def make(video_id: str = "clips/one", **fields: Any) -> Video:
        facts = {
            "path": f"{video_id}.mp4",
            "sha256": hashlib.sha256(video_id.encode()).hexdigest(),
            "size_bytes": 1,
            "duration_s": 10.0,
            "fps": 25.0,
            "width": 640,
            "height": 360,
            "codec": "h264",
            "video_streams": 1,
            "has_audio": True,
            "complete": True,
        }
        return Video.model_validate({"video_id": video_id, **facts, **fields})

    return make


@pytest.fixture
def store_frames(tmp_path: Path) -> StoreFrames:
    """Pictures written as the JPEGs of a frame store, one every 1/fps seconds."""

    def store(pictures: Sequence[Image.Image], fps: float) -> list[Frame]:
        folder = tmp_path / "frames"
        folder.mkdir(exist_ok=True)
        frames = []
        for index, picture in enumerate(pictures):
            path = folder / f"{index:05d}.jpg"
            picture.save(path, quality=90)
            frames.append(Frame(path, index / fps, hashlib.sha256(path.read_bytes()).hexdigest()))
        return frames

    return store


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    """Real worker processes, started by the first call."""
    with WorkerPool(2, timeout_s=120) as running:
        yield running


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A folder with one video of 3 s (10 frames a second) that says what its metadata and subtitles say."""
    root = tmp_path / "videos"
    (root / "talks").mkdir(parents=True)
    write_clip(root / "talks" / "one.mp4")
    (root / "talks" / "one.json").write_text('{"title": "The market", "secret": "not to be told", "event": {"a": 1}}')
    cues = "1\n00:00:00,500 --> 00:00:01,500\nGood morning\n\n2\nnot a time --> at all\nlost\n"
    (root / "talks" / "one.en.srt").write_text(cues)
    return root


@pytest.fixture
def long_clip(collection: Path) -> Path:
    """The collection's video, but of 24 s."""
    path = collection / "talks" / "one.mp4"
    write_clip(path, 24.0)
    return path


def write_clip(path: Path, seconds: float = 3.0) -> None:
    """A grey picture that turns brighter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(int(seconds * 10)):
            image = Image.new("RGB", (160, 96), (40 + 5 * index,) * 3)
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


@pytest.fixture
def frames(collection: Path, tmp_path: Path, pool: WorkerPool) -> FrameSource:
    """The frame store of the collection, empty."""
    return FrameSource(root=collection.resolve(), store=tmp_path / "store", media=MediaSettings(fps=2), pool=pool)


@pytest.fixture
async def probed(frames: FrameSource) -> Video:
    """The collection's video, probed for real."""
    [file] = scan(frames.root).files
    stage = ProbeStage(pool=frames.pool, root=frames.root, store=frames.store, media=frames.media)
    [video] = (await stage.run(Unit(file.video_id, payload=file))).records
    assert isinstance(video, Video)
    return video


class ScriptedTeacher:
    """Answers with what it was given, in order, and keeps the batches that it was asked."""

    def __init__(self, *answers: BaseModel | Answer | Refusal) -> None:
        self.answers = list(answers)
        self.batches: list[Sequence[Request]] = []

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return TeacherRef(backend="scripted", model="script", prompt_digest=task, sampling=sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        self.batches.append(requests)
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Outcome:
        answer = self.answers.pop(0)
        if isinstance(answer, Refusal):
            return answer
        teacher = self.describe(request.task, request.sampling)
        if isinstance(answer, Answer):
            return Reply("", teacher, answer=answer, reasoning="because")
        return Reply(answer.model_dump_json(), teacher, parsed=answer)

    async def close(self) -> None:
        pass


@pytest.fixture
def scripted() -> type[ScriptedTeacher]:
    return ScriptedTeacher


class NoFrames:
    """In the place of stored frames, where teachers that look at none are asked about thousands of clips."""

    sampling = "none"

    @asynccontextmanager
    async def leased(self, video: Video) -> AsyncIterator[FrameSet]:
        yield FrameSet((), video.duration_s, True)


@pytest.fixture(scope="session")
def no_frames() -> Any:
    return NoFrames()


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    """`world_teacher.py` beside this file; with pytest's importlib mode it can only be loaded by its path."""
    name = "hardcut_tests_world_teacher"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("world_teacher.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_sound() -> Callable[..., Path]:
    """Makes a file of so many seconds: a tone that is heard from and to the seconds given, and silence else."""

    def sound_file(path: Path, seconds: float, *loud: tuple[float, float]) -> Path:
        """A tone that is heard from and to the seconds given, and silence else."""
        rate = 16_000
        times = np.arange(int(seconds * rate)) / rate
        heard = sum(((times >= start) & (times < end)) for start, end in loud)
        samples = (np.sin(times * 440 * 6.283) * heard * 12_000).astype(np.int16)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return sound_file
