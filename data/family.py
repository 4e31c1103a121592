"""What the families of clips share: how a builder answers, and how it chooses sizes, names and times."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from hardcut.data.model import BackdropKind, Clip, Form, Frames, Question, Relation, Scene, Sentence, mirrored

RATES = (24, 25, 30)


class Family(NamedTuple):
    """Clips that belong together, and the queries written about them."""

    clips: tuple[Clip, ...]
    questions: tuple[Question, ...]


def video_id(folder: str, family: str, number: int, letter: str = "a") -> str:
    """A neutral name: it tells the family and nothing of what happens in the clip."""
    return f"{folder}/{family}-{number:02d}-{letter}"


def choose_form(rng: Random, sizes: tuple[tuple[int, int], ...] = ((480, 270), (640, 360))) -> Form:
    width, height = rng.choice(sizes)
    return Form(width=width, height=height, rate=rng.choice(RATES))


def span(form: Form, start_s: float, end_s: float) -> Frames:
    """Seconds to the nearest frames."""
    return Frames(first=round(start_s * form.rate), end=round(end_s * form.rate))


def scene(rng: Random, backdrop: BackdropKind, end: int, first: int = 0, *, presenter: bool = False) -> Scene:
    return Scene(backdrop=backdrop, seed=rng.randrange(2**31), frames=Frames(first=first, end=end), presenter=presenter)


def letters(form: Form, fraction: float) -> int:
    """The height of capitals as pixels, from a fraction of the picture's height."""
    return round(form.height * fraction)


def sentences(form: Form, start_s: float, texts: tuple[str, ...], pause_s: float = 0.5) -> tuple[Sentence, ...]:
    """One sentence after another, each with the time that an unhurried voice takes for it."""
    spoken: list[Sentence] = []
    for text in texts:
        end_s = start_s + 0.35 + 0.06 * len(text)
        spoken.append(Sentence(text=text, spoken=span(form, start_s, end_s)))
        start_s = end_s + pause_s
    return tuple(spoken)


def chiral_twins(clip: Clip, other_id: str, *, swap: bool) -> tuple[Clip, Clip]:
    """The clip and its mirror image in time under `clip.video_id` and `other_id`; with `swap` the mirror image comes first."""
    first, second = (mirrored(clip), clip) if swap else (clip, mirrored(clip))
    return (
        first.model_copy(update={"relations": (Relation(kind="chiral_twin", video_id=other_id),)}),
        second.model_copy(update={"video_id": other_id, "relations": (Relation(kind="chiral_twin", video_id=clip.video_id),)}),
    )
