from __future__ import annotations

import base64
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from hardcut.engine.stage import Unit
from hardcut.media.altered import hashes
from hardcut.media.collection import scan
from hardcut.schemas.copies import Copy, Group, Signature
from hardcut.schemas.records import Video
from hardcut.schemas.settings import DuplicateSettings
from hardcut.synth.duplicates import DuplicateStage, SignatureStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.probe import ProbeStage

pytest.importorskip("imagehash", reason='needs pip install "hardcut[vision]"')


class Records:
    def __init__(self, *records):
        self.records = sorted(records, key=lambda record: record.id)

    def all(self, kind):
        return (record for record in self.records if isinstance(record, kind))

    def get(self, kind, id):
        return next((record for record in self.all(kind) if record.id == id), None)

    def about(self, kind, subject):
        return [record for record in self.all(kind) if record.about == subject]


async def made(frames: FrameSource) -> list[Video | Signature]:
    probe = ProbeStage(frames.pool, frames.root, frames.store, frames.media)
    signatures = SignatureStage(frames, DuplicateSettings())
    assert signatures.kind == "unit"
    records = []
    for file in scan(frames.root).files:
        [video] = (await probe.run(Unit(file.video_id, payload=file))).records
        records += [video, *(await signatures.run(Unit(file.video_id, (video,)))).records]
    return records


async def test_a_copy_is_grouped_and_every_video_is_accounted_for(frames: FrameSource, make_video) -> None:
    shutil.copy(frames.root / "talks" / "one.mp4", frames.root / "copy.mp4")
    records = await made(frames)
    [copied, signature] = [r for r in records if r.id == "copy"]
    assert len(signature.hashes) == len(signature.times) == 6 and copied.path == "copy.mp4"
    stage = DuplicateStage()
    assert stage.kind == "collection"
    outputs = dict(stage.run(Records(*records, make_video("unsigned"))))
    assert sorted(outputs) == ["copy", "talks/one", "unsigned"]
    assert outputs["talks/one"].records == (
        Group(video_id="talks/one", group_id="copy", size=2, copies=(Copy(video_id="copy"),)),
    )
    [unchecked] = outputs["unsigned"].records
    assert (unchecked.guard, unchecked.item, unchecked.why) == ("near_duplicates", "unsigned", "missing")
    off = DuplicateStage(DuplicateSettings(near=False))
    assert dict(off.run(Records(make_video("unsigned"))))["unsigned"].records == (), "who did not ask is not told"
    assert off.settings != stage.settings == {}


def test_a_mirrored_copy_is_told_as_such_and_has_a_group_of_its_own(make_video) -> None:
    tiles = np.random.default_rng(4).integers(0, 255, (8, 6, 6, 3)).repeat(8, axis=1).repeat(8, axis=2)
    signatures = [signature("one", tiles), signature("copy", tiles), signature("turned", tiles[:, :, ::-1])]
    outputs = dict(DuplicateStage().run(Records(*signatures, *(make_video(each.video_id) for each in signatures))))
    told = {name: output.records[0] for name, output in outputs.items()}
    same, turned = Copy(video_id="copy"), Copy(video_id="turned", changes=("mirrored",))
    assert told["one"] == Group(video_id="one", group_id="copy", size=2, copies=(same, turned))
    both = tuple(Copy(video_id=name, changes=("mirrored",)) for name in ("copy", "one"))
    assert told["turned"] == Group(video_id="turned", group_id="turned", size=1, copies=both)


def signature(video_id: str, tiles: np.ndarray) -> Signature:
    """Of eight pictures, 48 x 48 pixels, four a second."""
    picture = Image.fromarray(np.concatenate(tiles.astype(np.uint8), axis=1))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    found = tuple(f"{value:016x}" for value in hashes(tiles.astype(np.float32)).tolist())
    sheet = base64.b64encode(buffer.getvalue()).decode()
    return Signature(video_id=video_id, times=tuple(number / 4 for number in range(8)), hashes=found, sheet=sheet)


async def test_it_can_be_switched_off(frames: FrameSource, probed: Video) -> None:
    off = SignatureStage(frames, DuplicateSettings(near=False))
    assert (await off.run(Unit(probed.video_id, (probed,)))).records == ()
    assert off.settings != SignatureStage(frames, DuplicateSettings()).settings


async def test_names_keep_their_spaces(frames: FrameSource) -> None:
    shutil.move(frames.root / "talks" / "one.mp4", frames.root / " one.mp4")
    [file] = scan(frames.root).files
    probe = ProbeStage(frames.pool, frames.root, frames.store, frames.media)
    [video] = (await probe.run(Unit(file.video_id, payload=file))).records
    assert video.path == " one.mp4"
