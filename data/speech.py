"""The sound track and the subtitles of a clip."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardcut.data.model import Clip
from hardcut.schemas.errors import ItemError, MissingDependency

PEAK = 0.6
"""The loudest sample of every sentence, of 1."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel of 16-bit samples."""

    samples: NDArray[np.int16]
    rate: int


def sound_track(clip: Clip) -> Sound | None:
    """The clip's speech, as long as the clip, silent between sentences; None where nothing is said.

    Raises MissingDependency without espeakng_loader, ItemError where the voice fails.
    """
    if not clip.speech:
        return None
    if importlib.util.find_spec("espeakng_loader") is None:
        raise MissingDependency('speech needs eSpeak NG: pip install "hardcut[render]"')
    rate = clip.form.rate
    wanted = [
        {"text": sentence.text, "seconds": (sentence.spoken.end - sentence.spoken.first) / rate} for sentence in clip.speech
    ]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("voice.py"))], input=json.dumps(wanted).encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise ItemError("speech", f"no voice for {clip.video_id}", raw=done.stderr.decode(errors="replace"))
    header, _, body = done.stdout.partition(b"\n")
    facts, spoken = json.loads(header), np.frombuffer(body, dtype="<i2")
    track = np.zeros(round(clip.frames / rate * facts["rate"]), dtype=np.int16)
    ends = np.cumsum(facts["lengths"])
    for sentence, end, length in zip(clip.speech, ends, facts["lengths"], strict=True):
        sound = spoken[end - length : end].astype(np.float64)
        first = round(sentence.spoken.first / rate * facts["rate"])
        track[first : first + length] = (sound / np.abs(sound).max() * PEAK * 32767).round()
    return Sound(track, facts["rate"])


def subtitles(clip: Clip) -> str:
    """The text of the clip's subtitle file, SubRip or WebVTT as its form says."""
    vtt = clip.form.subtitles == "vtt"
    cues = []
    for number, sentence in enumerate(clip.speech, start=1):
        span = sentence.spoken.seconds(clip.form.rate)
        cue = f"{_clock(span.start, vtt)} --> {_clock(span.end, vtt)}\n{sentence.text}\n"
        cues.append(cue if vtt else f"{number}\n{cue}")
    return "\n".join(["WEBVTT\n", *cues] if vtt else cues)


def _clock(time_s: float, vtt: bool) -> str:
    seconds, millis = divmod(round(1000 * time_s), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{'.' if vtt else ','}{millis:03}"
