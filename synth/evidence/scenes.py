"""Shots, movement and colours: the extractor of what is seen. Movement is looked for within shots, so both share one
search for cuts."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from hardcut.schemas.dependencies import installed, opencv
from hardcut.schemas.records import Evidence
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.motion import find_motion, motion_evidence
from hardcut.synth.evidence.shots import find_cuts, shot_evidence


async def _scenes(look: Look) -> list[Evidence]:
    options, video, frames = look.setup.options, look.video, look.frames
    cuts = await look.pool.call(find_cuts, [frame.path for frame in frames], options.shot_threshold)
    shots = shot_evidence(video, frames, cuts) if options.shots else []
    if not options.motion:
        return shots
    return shots + motion_evidence(video, await look.pool.call(find_motion, frames, cuts, video.duration_s))


def _on(setup: Setup) -> bool:
    return setup.options.shots or setup.options.motion


def _libraries(setup: Setup) -> Mapping[str, JsonValue]:
    without = "evidence.shots = false and evidence.motion = false"
    found: dict[str, JsonValue] = {"scenedetect": installed("scenedetect-headless", "vision", without)}
    if setup.options.motion:
        found["opencv"] = opencv("evidence.motion = false")
    return found


SCENES = Extractor("scenes", None, _scenes, on=_on, libraries=_libraries)
