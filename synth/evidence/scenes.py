"""Shots, movement and colours: the extractor of what is seen. Movement is looked for within shots, so both share one
survey of the video."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from hardcut.schemas.dependencies import installed, opencv
from hardcut.schemas.records import Evidence
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.motion import find_colours, find_motion, motion_evidence
from hardcut.synth.evidence.shots import shot_evidence, told_cuts
from hardcut.synth.evidence.writing import things


async def _scenes(look: Look) -> list[Evidence]:
    options, video, call = look.setup.options, look.video, look.pool.call
    async with look.source.looked_at(video) as survey:
        found = shot_evidence(video, survey, options.shot_threshold) if options.shots else []
        if options.motion:
            cuts = [(cut.before_s + cut.time_s) / 2 for cut in told_cuts(survey, options.shot_threshold)]
            found += motion_evidence(video, things(await call(find_motion, survey.bursts), look.written))
            holes = await look.holes()
            found += motion_evidence(video, await call(find_colours, look.frames, cuts, video.duration_s, holes))
    return found


def _on(setup: Setup) -> bool:
    return setup.options.shots or setup.options.motion


def _libraries(setup: Setup) -> Mapping[str, JsonValue]:
    without = "evidence.shots = false and evidence.motion = false"
    found: dict[str, JsonValue] = {"scenedetect": installed("scenedetect-headless", "vision", without)}
    if setup.options.motion:
        found["opencv"] = opencv("evidence.motion = false")
    return found


SCENES = Extractor("scenes", None, _scenes, on=_on, libraries=_libraries)
