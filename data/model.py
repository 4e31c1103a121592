"""What a rendered world is: frozen, typed, and complete, so that every pixel and sound follows from it.

Times are counted in frames of the clip (`Frames`, end exclusive) so that truth is exact; places are fractions of the
picture, origin top left; letter heights are in pixels of the displayed picture.
"""

from __future__ import annotations

from typing import Literal

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import Span

Script = Literal["latin", "cyrillic", "greek", "chinese"]
Shape = Literal["ball", "square", "triangle", "star", "car", "boat", "balloon", "block", "door"]
BackdropKind = Literal["meadow", "street", "shore", "room", "studio", "kitchen"]
Point = tuple[float, float]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (208, 36, 40), "blue": (28, 84, 214), "green": (16, 138, 66), "yellow": (248, 200, 24), "orange": (240, 120, 20),
    "purple": (122, 52, 178), "white": (252, 252, 250), "cream": (250, 243, 224), "navy": (22, 34, 66), "charcoal": (38, 40, 46),
    "forest": (20, 62, 48), "wine": (88, 22, 40), "mist": (196, 199, 203), "fog": (210, 212, 215),
}
LEGIBLE_HEIGHT_PX = 14
LEGIBLE_CONTRAST = 3.0


class Frames(Frozen):
    """Frames `first` up to and without `end`."""

    first: int
    end: int

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.end

    def mirrored(self, total: int) -> Frames:
        """The same stretch when a clip of `total` frames is played in reverse."""
        return Frames(first=total - self.end, end=total - self.first)

    def seconds(self, rate: int) -> Span:
        return Span(start=self.first / rate, end=self.end / rate)


class Thing(Frozen):
    """An object that stands at `start`, moves in a straight line during `moving`, and stands at `end`.

    `size` is its height as a fraction of the picture's. A door does not move: it turns from opening `hinge[0]` to
    `hinge[1]`, 0 shut and 1 wide open.
    """

    shape: Shape
    colour: str
    size: float
    visible: Frames
    moving: Frames
    start: Point
    end: Point
    hinge: tuple[float, float] = (0.0, 0.0)

    def progress(self, index: int) -> float:
        """How much of its motion is done at a frame, 0..1, evenly paced; 0 at its first frame, 1 at its last."""
        steps = self.moving.end - 1 - self.moving.first
        return min(1.0, max(0.0, (index - self.moving.first) / steps))

    def place(self, index: int) -> Point:
        done = self.progress(index)
        return (
            self.start[0] + (self.end[0] - self.start[0]) * done,
            self.start[1] + (self.end[1] - self.start[1]) * done,
        )

    @property
    def direction(self) -> str:
        """left to right | right to left | upwards | downwards | opens | closes | still"""
        if self.hinge[0] != self.hinge[1]:
            return "opens" if self.hinge[1] > self.hinge[0] else "closes"
        across, down = self.end[0] - self.start[0], self.end[1] - self.start[1]
        if abs(across) >= abs(down) and across:
            return "left to right" if across > 0 else "right to left"
        if down:
            return "downwards" if down > 0 else "upwards"
        return "still"


class Words(Frozen):
    """Text on a plate around `centre`, there in full from its first frame to its last. `height_px` is that of a capital."""

    text: str
    script: Script
    centre: Point
    height_px: int
    ink: str
    plate: str
    shown: Frames

    @property
    def contrast(self) -> float:
        """Contrast ratio of ink and plate, 1..21 (WCAG 2.1, relative luminance)."""
        light, dark = sorted((_luminance(self.ink), _luminance(self.plate)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    @property
    def legible(self) -> bool:
        return self.height_px >= LEGIBLE_HEIGHT_PX and self.contrast >= LEGIBLE_CONTRAST


class Sentence(Frozen):
    """What the voice says; the speech fills `spoken` from its start almost to its end."""

    text: str
    spoken: Frames


class Scene(Frozen):
    """A stretch between two hard cuts in front of one backdrop, whose details follow from `seed`."""

    backdrop: BackdropKind
    seed: int
    frames: Frames
    presenter: bool = False


class Relation(Frozen):
    kind: Literal["chiral_twin", "other_order", "near_duplicate", "same_event"]
    video_id: str


class Meta(Frozen):
    """What the sidecar tells: written by a careless person, so it names the topic and not what happens when."""

    title: str
    description: str
    tags: tuple[str, ...]
    event: str | None = None
    licence: str = "CC0-1.0"


class Form(Frozen):
    """How the clip is stored. `rotation` is the turn in the file's metadata; width and height are as displayed."""

    width: int
    height: int
    rate: int
    codec: Literal["h264", "vp9"] = "h264"
    quality: int = 27
    rotation: Literal[0, 90] = 0
    variable_rate: bool = False
    subtitles: Literal["srt", "vtt"] | None = None


class Clip(Frozen):
    """One video. `backwards` says that its pictures are those of its mirrored self in reverse."""

    video_id: str
    form: Form
    scenes: tuple[Scene, ...]
    meta: Meta
    things: tuple[Thing, ...] = ()
    words: tuple[Words, ...] = ()
    speech: tuple[Sentence, ...] = ()
    relations: tuple[Relation, ...] = ()
    backwards: bool = False

    @property
    def frames(self) -> int:
        return self.scenes[-1].frames.end

    def stored_frames(self) -> tuple[int, ...]:
        """The frames that are in the file: all, or for a variable rate every second one and those where something changes."""
        if not self.form.variable_rate:
            return tuple(range(self.frames))
        spans = [scene.frames for scene in self.scenes] + [words.shown for words in self.words]
        spans += [span for thing in self.things for span in (thing.visible, thing.moving)]
        edges = {edge for span in spans for edge in (span.first, span.end)} | {self.frames - 1}
        return tuple(i for i in range(self.frames) if i % 2 == 0 or i in edges)


class Sought(Frozen):
    """One thing that a query asks for. Words and speech are matched without regard to case, as whole words."""

    what: Literal["thing", "words", "speech", "tag"]
    text: str = ""
    shape: Shape | None = None
    colour: str | None = None
    direction: str | None = None


class Question(Frozen):
    """A query and what a video must show to answer it: all of `sought` (one after another if `ordered`), none of `without`."""

    text: str
    sought: tuple[Sought, ...]
    ordered: bool = False
    without: tuple[Sought, ...] = ()


class World(Frozen):
    seed: int
    clips: tuple[Clip, ...]
    questions: tuple[Question, ...]


def mirrored(clip: Clip) -> Clip:
    """The clip played in reverse: every span flipped, every path walked back. Its own inverse (but for id and metadata)."""
    total = clip.frames
    things = (
        thing.model_copy(
            update={
                "visible": thing.visible.mirrored(total), "moving": thing.moving.mirrored(total),
                "start": thing.end, "end": thing.start, "hinge": thing.hinge[::-1],
            }
        )
        for thing in clip.things
    )
    return clip.model_copy(
        update={
            "things": tuple(sorted(things, key=lambda thing: thing.moving.first)),
            "words": tuple(words.model_copy(update={"shown": words.shown.mirrored(total)}) for words in reversed(clip.words)),
            "scenes": tuple(scene.model_copy(update={"frames": scene.frames.mirrored(total)}) for scene in reversed(clip.scenes)),
            "backwards": not clip.backwards,
        }
    )


def _luminance(colour: str) -> float:
    channels = [value / 255 for value in COLOURS[colour]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
