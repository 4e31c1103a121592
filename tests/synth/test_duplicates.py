from __future__ import annotations

import shutil

import pytest

from hardcut.engine.stage import Unit
from hardcut.media.collection import scan
from hardcut.schemas.records import Group, Signature, Video
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
    assert outputs["talks/one"].records == (Group(video_id="talks/one", group_id="copy", size=2),)
    [unchecked] = outputs["unsigned"].records
    assert (unchecked.guard, unchecked.item, unchecked.why) == ("near_duplicates", "unsigned", "missing")
    off = DuplicateStage(DuplicateSettings(near=False))
    assert dict(off.run(Records(make_video("unsigned"))))["unsigned"].records == (), "who did not ask is not told"
    assert off.settings != stage.settings == {}


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
