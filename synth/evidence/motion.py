"""What moves and which way, whether the camera does, and which colours there are: out of the stored frames alone.

Frames are about a quarter of a second apart, so a thing may move by its own size between two of them, where optical
flow loses it. Each does what it is good at: where the camera stands, things are what differs from the background, and
are followed as blobs; flow tells whether the camera moves, what moves while it does, and which way parts of a thing
go that cannot be followed as a whole (hands, a crowd, water).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Literal

from hardcut.media.frames import Frame
from hardcut.schemas.records import Box, Evidence, Span, Video
from hardcut.synth.evidence.blobs import background, blobs, changed, in_front, without_holes
from hardcut.synth.evidence.camera import camera_moves
from hardcut.synth.evidence.colours import NAMES, colour_shares
from hardcut.synth.evidence.flow import MOVING_PX, camera_step, carried, dense_flow, own_flow
from hardcut.synth.evidence.movers import Blob, Leg, legs
from hardcut.synth.evidence.pictures import load_image
from hardcut.synth.evidence.tracks import Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

SIDE = 256
"""Longer side in pixels of the pictures that are looked at."""
WEAKEST = 0.25
"""Movement that is less striking than this (see `_strength`) is left out."""
MOST_LEGS = 8
"""Movements told of a shot, the most striking ones."""
STIR_AREA = 0.004
STIR_PX = 2.5
STIR_COHERENCE = 0.5
"""Least part of the picture, mean shift a frame and agreement (length of the sum over sum of lengths) of a stir."""
SCENE_SHARE = 0.15
"""Least part of the picture of a colour that is told of a scene."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of evidence of kind motion or colour, not yet of a video."""

    kind: Literal["motion", "colour"]
    text: str
    start: float
    end: float
    box: Rect | None
    confidence: float


@dataclass(frozen=True, slots=True)
class _Stir:
    """Movement between the frame `at` and the next one that belongs to no thing that could be followed."""

    at: int
    way: str
    shift: float
    box: Rect
    coherence: float


def find_motion(frames: Sequence[Frame], cuts: Sequence[int], duration_s: float) -> list[Finding]:
    """Movement and colours of a video whose shots begin at the frames `cuts`, in order of time. For a worker process.

    The camera stands, pans, tilts or zooms; things move from left to right, from right to left, upwards, downwards, or
    get larger or smaller in their place. A thing's box holds its whole way: with the direction that says where it
    started and where it ended.
    """
    found: list[Finding] = []
    still = True
    for first, end in pairwise([0, *cuts, len(frames)]):
        shot = _Shot(frames, first, end, duration_s)
        camera = shot.camera()
        still = still and not camera and shot.camera_known
        found += camera + shot.things() + shot.scene()
    if still:
        found.append(Finding("motion", "the camera stands still", 0.0, duration_s, None, 1.0))
    return sorted(found, key=lambda item: (item.start, item.end, item.kind, item.text, item.box or ()))


def motion_evidence(video: Video, findings: Sequence[Finding]) -> list[Evidence]:
    """The findings as evidence of a video."""
    return [
        Evidence.create(
            video_id=video.video_id,
            kind=item.kind,
            text=item.text,
            span=Span(start=item.start, end=item.end),
            box=Box(left=item.box[0], top=item.box[1], right=item.box[2], bottom=item.box[3]) if item.box else None,
            confidence=item.confidence,
            extractor="opencv",
        )
        for item in findings
    ]


class _Shot:
    """The frames from `first` up to and without `end`."""

    def __init__(self, frames: Sequence[Frame], first: int, end: int, duration_s: float) -> None:
        self._times = [frame.time_s for frame in frames[first:end]]
        self._start = 0.0 if first == 0 else (frames[first - 1].time_s + frames[first].time_s) / 2
        self._end = duration_s if end == len(frames) else (frames[end - 1].time_s + frames[end].time_s) / 2
        self._pictures = [_small(load_image(frame.path)) for frame in frames[first:end]]
        greys = [_grey(picture) for picture in self._pictures]
        self._flows = [dense_flow(one, other) for one, other in pairwise(greys)]
        self._steps = [camera_step(grey, flow) for grey, flow in zip(greys, self._flows, strict=False)]
        self._moves = camera_moves(self._times, self._steps)
        self._behind = background(self._pictures) if self._pictures and not self._moves else None

    @property
    def camera_known(self) -> bool:
        """Whether the picture has enough structure to tell what the camera does."""
        return bool(self._steps) and 2 * sum(step.known for step in self._steps) >= len(self._steps)

    def camera(self) -> list[Finding]:
        """The camera's movements."""
        return [Finding("motion", f"the camera {move.does}", *self._span(move.first, move.last), None, move.share)
                for move in self._moves]  # fmt: skip

    def things(self) -> list[Finding]:
        """What moves in front of the camera."""
        found = sorted(legs(list(self._blobs())), key=lambda leg: -_strength(leg))[:MOST_LEGS]
        told = [leg for leg in found if _strength(leg) >= WEAKEST]
        return [self._thing(leg) for leg in told] + self._stirs(told)

    def scene(self) -> list[Finding]:
        """The colours that fill most of the picture."""
        if not self._pictures:
            return []
        shares = colour_shares(self._pictures[len(self._pictures) // 2] if self._behind is None else self._behind)
        first, *others = _names(shares, SCENE_SHARE, 3)
        text = f"mostly {first}" + (f", with {' and '.join(others)}" if others else "")
        if shares.max() < SCENE_SHARE:
            text = f"of many colours, {first} among them"
        return [Finding("colour", text, self._start, self._end, None, round(float(shares.max()), 3))]

    def _blobs(self) -> Iterator[list[Blob]]:
        """What stands out in each frame; while the camera moves, in places as if it stood."""
        if self._behind is not None:
            masks = [in_front(picture, self._behind) for picture in self._pictures]
            masks = without_holes(self._pictures, self._behind, masks)
            for index, (picture, mask) in enumerate(zip(self._pictures, masks, strict=True)):
                yield blobs(index, picture, mask)
            return
        across = down = 0.0
        for index, (flow, step) in enumerate(zip(self._flows, self._steps, strict=True)):
            mask = changed(own_flow(flow, step), MOVING_PX)
            if index:
                before = carried(self._pictures[index - 1], self._steps[index - 1])
                after = carried(self._pictures[index + 1], step, back=True)
                mask |= in_front(self._pictures[index], before) & in_front(self._pictures[index], after)
            yield blobs(index, self._pictures[index], mask, shift=(-across, -down))
            across, down = across + step.across, down + step.down

    def _thing(self, leg: Leg) -> Finding:
        import numpy as np

        shares = np.mean([blob.colours for blob in leg.blobs], axis=0)
        area = float(np.median([blob.area for blob in leg.blobs]))
        size = "small " if area < 0.01 else "large " if area > 0.12 else ""
        colours = " and ".join(_names(shares, 0.25, 2, hues_first=True))
        thing = f"{'resting ' if leg.stood else ''}{size}{colours} thing"
        article = "an" if thing[0] in "aeiou" else "a"
        does = f"gets {leg.way}" if leg.way in ("larger", "smaller") else f"moves {_phrase(leg.way)}"
        after = " and comes to rest" if leg.stays else ""
        start, end = self._span(leg.blobs[0].frame, leg.blobs[-1].frame)
        text = f"{article} {thing} {does}{after}"
        return Finding("motion", text, start, end, _around([blob.box for blob in leg.blobs]), _strength(leg))

    def _stirs(self, told: Sequence[Leg]) -> list[Finding]:
        """Movement that no leg accounts for, runs of one direction as one; not while the camera moves, when what is
        left of the flow is mostly depth."""
        if self._behind is None:
            return []
        runs: list[list[_Stir]] = []
        for at in range(len(self._flows)):
            stir = self._stir(at, told)
            if stir and runs and runs[-1][-1].at == at - 1 and runs[-1][-1].way == stir.way:
                runs[-1].append(stir)
            elif stir:
                runs.append([stir])
        found = []
        for run in runs:
            start, end = self._times[run[0].at], self._times[run[-1].at + 1]
            speed = sum(stir.shift for stir in run) / max(end - start, 1e-3)
            pace = " quickly" if speed > 0.15 else " slowly" if speed < 0.05 else ""
            text = f"something moves {_phrase(run[0].way)}{pace}"
            confidence = round(0.5 * min(stir.coherence for stir in run), 3)  # nobody knows what it is that moves
            found.append(Finding("motion", text, start, end, _around([stir.box for stir in run]), confidence))
        return found

    def _stir(self, at: int, told: Sequence[Leg]) -> _Stir | None:
        import numpy as np

        own = own_flow(self._flows[at], self._steps[at])
        length = np.hypot(own[..., 0], own[..., 1])
        mask = in_front(self._pictures[at], self._pictures[at + 1]) & (length > MOVING_PX)
        height, width = mask.shape
        for leg in told:
            for blob in leg.blobs:
                if abs(blob.frame - at) <= 1:
                    left, top, right, bottom = blob.box
                    mask[int(top * height) : int(bottom * height) + 1, int(left * width) : int(right * width) + 1] = 0
        if mask.mean() < STIR_AREA:
            return None
        across, down = (float(value) for value in own[mask].mean(axis=0))
        coherence = float(np.hypot(across, down) / length[mask].mean())
        shift = float(np.hypot(across, down))
        if coherence < STIR_COHERENCE or shift < STIR_PX:
            return None
        if abs(across) >= abs(down):
            way = "left to right" if across > 0 else "right to left"
        else:
            way = "downwards" if down > 0 else "upwards"
        rows, columns = np.nonzero(mask)
        edges = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
        left, top, right, bottom = (round(float(edge), 2) for edge in edges)
        return _Stir(at, way, shift / max(height, width), (left, top, right, bottom), round(coherence, 3))

    def _span(self, first: int, last: int) -> tuple[float, float]:
        return self._times[first], self._times[last]


def _strength(leg: Leg) -> float:
    """How striking a movement is, 0..1: how far it goes and how large the thing is."""
    area = max(blob.area for blob in leg.blobs)
    far = 1.0 if leg.way in ("larger", "smaller") else min(1.0, leg.distance / 0.3)
    return round(far * min(1.0, sqrt(area / 0.01)), 3)


def _names(shares: Floats, least: float, most: int, *, hues_first: bool = False) -> list[str]:
    """The colours with at least so large a share, the largest first; if there is none, the largest. Around a thing
    there is often a grey rim of shadow and blur; `hues_first` passes over grey where there is a hue."""
    order = sorted(range(len(NAMES)), key=lambda number: (-float(shares[number]), number))
    found = [NAMES[number] for number in order if shares[number] >= least]
    if hues_first and len(found) > 1 and "grey" in found:
        found.remove("grey")
    return (found or [NAMES[order[0]]])[:most]


def _phrase(way: str) -> str:
    return f"from {way}" if " to " in way else way


def _around(boxes: Sequence[Rect]) -> Rect:
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _grey(image: Image) -> Image:
    import cv2
    import numpy as np

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _small(image: Image) -> Image:
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
