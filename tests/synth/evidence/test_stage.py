from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from hardcut.engine.stage import Unit
from hardcut.schemas import dependencies as extras
from hardcut.schemas.errors import MissingDependency
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource


async def test_everything_that_is_known_of_a_video(frames: FrameSource, probed: Video) -> None:
    pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    stage = EvidenceStage(frames, EvidenceSettings())
    assert stage.kind == "unit"
    output = await stage.run(Unit(probed.video_id, records=(probed,)))
    found = [item for item in output.records if isinstance(item, Evidence)]
    assert sorted((item.kind, item.text) for item in found) == [
        ("colour", "mostly grey"), ("metadata", "title: The market"), ("shot", "shot 1 of 1"),
        ("speech", "Good morning"),
    ]  # fmt: skip
    assert [item.evidence_id for item in found] == sorted(item.evidence_id for item in found)
    assert {(item.item, item.reason) for item in output.dropped} == {
        ("talks/one.en.srt:6", "subtitle_unreadable"),
        ("talks/one", "not_text"),
    }
    assert output.failure is None


async def test_switched_off_means_no_frames_are_needed(frames: FrameSource, probed: Video) -> None:
    options = EvidenceSettings(ocr="off", shots=False, motion=False, speech="off", metadata_fields=())
    (frames.root / probed.path).unlink()
    for path in frames.store.rglob("*.jpg"):
        path.unlink()
    output = await EvidenceStage(frames, options).run(Unit(probed.video_id, records=(probed,)))
    assert (list(output.records), list(output.dropped)) == ([], [])


def test_missing_libraries_say_how_to_get_them(frames: FrameSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(package: str):
        def find(name: str) -> str:
            if name == package:
                raise PackageNotFoundError(name)
            return version(name)

        return find

    for package, extra, otherwise in (
        ("rapidocr", "hardcut[default]", 'evidence.ocr = "off"'),
        ("onnxruntime", "hardcut[default]", 'evidence.ocr = "off"'),
        ("scenedetect-headless", "hardcut[default]", "evidence.shots = false and evidence.motion = false"),
    ):
        monkeypatch.setattr(extras, "version", without(package))
        with pytest.raises(MissingDependency) as error:
            _ = EvidenceStage(frames, EvidenceSettings()).settings
        assert package in str(error.value)
        assert extra in str(error.value)
        assert otherwise in str(error.value)
    monkeypatch.setattr(extras, "version", without("scenedetect-headless"))
    assert EvidenceStage(frames, EvidenceSettings(ocr="off", shots=False, motion=False)).settings["versions"] == {}
