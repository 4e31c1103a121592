"""The rendered files against the truth beside them, through the pixels and samples that a decoder gives."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from hardcut.data.draw import draw_frames
from hardcut.data.encode import write_video
from hardcut.data.fonts import Fonts
from hardcut.data.model import COLOURS, Form, World
from hardcut.data.render import main, render_world
from hardcut.data.world import make_world
from hardcut.schemas.errors import UsageError

Pixels = NDArray[np.uint8]
Truth = dict[str, dict[str, Any]]


def decode(path: Path) -> tuple[list[Fraction], list[Pixels]]:
    """Times in seconds, and the pictures as they are to be displayed."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.pts * frame.time_base for frame in frames], [
        np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90) for frame in frames
    ]


def decode_sound(path: Path) -> tuple[NDArray[np.float32], int]:
    with av.open(str(path)) as container:
        pieces = [(frame.to_ndarray()[0], frame.sample_rate) for frame in container.decode(audio=0)]
    return np.concatenate([samples for samples, _ in pieces]), pieces[0][1]


def shown_at(times: list[Fraction], pictures: list[Pixels], moment: float) -> Pixels:
    return [picture for time, picture in zip(times, pictures, strict=True) if time <= moment + 0.001][-1]


@pytest.fixture(scope="module")
def decoded(rendered: Path, truth: Truth) -> dict[str, tuple[list[Fraction], list[Pixels]]]:
    return {video_id: decode(rendered / "videos" / f"{video_id}.mp4") for video_id in truth}


def test_the_files_have_the_size_and_length_that_the_truth_says(truth: Truth, decoded: dict[str, Any]) -> None:
    for video_id, facts in truth.items():
        times, pictures = decoded[video_id]
        assert {picture.shape for picture in pictures} == {(facts["height"], facts["width"], 3)}, video_id
        assert float(times[-1]) + 1 / facts["fps"] == pytest.approx(facts["duration_s"], abs=1e-3), video_id


def test_words_are_there_in_their_span_and_at_no_other_time(truth: Truth, decoded: dict[str, Any]) -> None:
    checked = 0
    for video_id, facts in truth.items():
        times, pictures = decoded[video_id]
        frame_s = 1 / facts["fps"]
        for text in facts["texts"]:
            x, y, half = text["centre"][0] * facts["width"], text["centre"][1] * facts["height"], text["height_px"] // 2
            box = np.s_[max(0, int(y) - half) : int(y) + half, int(x) - 3 * half : int(x) + 3 * half]
            start, end = text["span"]["start"], text["span"]["end"]
            first = shown_at(times, pictures, start)[box].astype(int)
            last = shown_at(times, pictures, end - frame_s)[box].astype(int)
            assert np.abs(first - last).mean() < 8, f"{video_id}: {text['text']} does not stand still"
            for outside in (start - frame_s, end):
                if 0 <= outside < facts["duration_s"] - frame_s / 2:
                    without = shown_at(times, pictures, outside)[box].astype(int)
                    assert np.abs(first - without).mean() > 20, f"{video_id}: {text['text']} is there at {outside}"
                    checked += 1
    assert checked >= 8


def test_things_are_where_they_should_be_and_move_as_stated(truth: Truth, decoded: dict[str, Any]) -> None:
    checked = 0
    for video_id, facts in truth.items():
        times, pictures = decoded[video_id]
        for thing in facts["objects"]:
            start, end = thing["moving"]["start"], thing["moving"]["end"] - 1 / facts["fps"]
            seen = []
            for share in (0.0, 0.25, 0.5, 0.75, 1.0):
                picture = shown_at(times, pictures, start + share * (end - start)).astype(int)
                xs = np.nonzero(np.abs(picture - COLOURS[thing["colour"]]).sum(axis=2) < 90)[1]
                assert len(xs) > 50, f"{video_id}: no {thing['colour']} {thing['shape']}"
                seen.append(float(np.median(xs)) / facts["width"])
                wanted = thing["from"][0] + share * (thing["to"][0] - thing["from"][0])
                assert seen[-1] == pytest.approx(wanted, abs=0.03), f"{video_id} at {share}"
            assert seen == sorted(seen, reverse=thing["direction"] == "right to left")
            checked += 1
    assert checked == 4


def test_a_chiral_twin_shows_the_same_pictures_in_reverse(world: World, truth: Truth, decoded: dict[str, Any]) -> None:
    clips = {clip.video_id: clip for clip in world.clips}
    twins = [
        (video_id, relation["video_id"])
        for video_id, facts in truth.items()
        for relation in facts["relations"]
        if relation["kind"] == "chiral_twin" and video_id < relation["video_id"]
    ]
    assert len(twins) == 2
    for one, other in twins:
        forward, backward = (list(draw_frames(clips[name], Fonts())) for name in (one, other))
        assert all(np.array_equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))
        for a, b in list(zip(decoded[one][1], reversed(decoded[other][1]), strict=True))[::20]:
            error = np.mean((a.astype(float) - b.astype(float)) ** 2)
            assert 10 * np.log10(255**2 / error) > 30, f"{one} and {other} differ after encoding"


def test_the_voice_is_heard_in_its_spans_and_at_no_other_time(rendered: Path, truth: Truth) -> None:
    spoken = 0
    for video_id, facts in truth.items():
        path = rendered / "videos" / f"{video_id}.mp4"
        if not facts["speech"]:
            with av.open(str(path)) as container:
                assert not container.streams.audio
            continue
        samples, rate = decode_sound(path)
        silent = np.ones(len(samples), dtype=bool)
        for sentence in facts["speech"]:
            start, end = sentence["span"]["start"], sentence["span"]["end"]
            inside = samples[round(start * rate) : round(end * rate)]
            loud = np.flatnonzero(np.abs(inside) > 0.02) / rate
            assert loud[0] < 0.1, f"{video_id}: {sentence['text']} begins late"
            assert end - start - loud[-1] < 0.12 * (end - start), f"{video_id}: {sentence['text']} ends early"
            silent[max(0, round((start - 0.06) * rate)) : round((end + 0.06) * rate)] = False
            spoken += 1
        assert np.abs(samples[silent]).max() < 0.01, f"{video_id}: sound where nothing is said"
    assert spoken >= 6


def test_subtitles_and_metadata_lie_beside_the_videos(rendered: Path, truth: Truth) -> None:
    for video_id, facts in truth.items():
        base = rendered / "videos" / video_id
        meta = json.loads(base.with_name(base.name + ".json").read_text(encoding="utf-8"))
        assert meta["title"] and meta["licence"] == "CC0-1.0"
        assert meta.get("event") == facts["event"]
        subtitles = [path.read_text(encoding="utf-8") for path in sorted(base.parent.glob(f"{base.name}.[sv][rt]t"))]
        assert len(subtitles) == bool(facts["speech"])
        for sentence in facts["speech"]:
            start, end = (f"00:00:{sentence['span'][edge]:06.3f}" for edge in ("start", "end"))
            assert f"{start} --> {end}\n{sentence['text']}\n" in subtitles[0].replace(",", ".")


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    world = make_world(5, 2, scripts=("latin",), families=("talk",))
    for name in ("one", "two"):
        render_world(world, tmp_path / name, Fonts())
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize("form", [
    Form(width=64, height=48, rate=24, codec="vp9"), Form(width=64, height=48, rate=30, rotation=90),
])  # fmt: skip
def test_every_form_of_file_shows_what_was_drawn(tmp_path: Path, form: Form) -> None:
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    picture[:24, :32] = 230
    path = tmp_path / f"x.{'webm' if form.codec == 'vp9' else 'mp4'}"
    numbers = (0, 1, 4, 9)
    write_video(path, form, ((number, picture) for number in numbers))
    times, pictures = decode(path)
    assert [round(time * form.rate) for time in times] == list(numbers)
    assert all(np.abs(shown.astype(int) - picture).mean() < 6 for shown in pictures)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        render_world(make_world(1, 1), tmp_path)
    assert main(["--seed", "1", "--out", str(tmp_path)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
