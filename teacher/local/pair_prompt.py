"""How a reranker is shown a query and a video: the one prompt of training and of scoring.

It lives in the model's own chat template (`profiles.py`), which knows a pair as two messages of the roles `query` and
`document` (those of sentence-transformers' CrossEncoder) and turns it into a conversation that ends right before yes or
no. So a saved model carries its prompt, and whoever loads it, by whatever library, asks what it was trained on. In ours
the video comes first: what precedes the query is the same for all queries of a video and is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.profiles import profile_of
from hardcut.teacher.prompts.control_tokens import spell_out_for

NO_REFERENCE = (
    "the model's chat template does not show the video that a composed query starts from: train it with this version, "
    "or take a profile that does"
)
_VISION_END = "<|vision_end|>"
MILLISECONDS = 1000.0
"""Frames are numbered by the millisecond that they are shown at: so a processor gives back their true times."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """Frames of a video as a processor takes them: `array` is uint8 of shape (frames, height, width, 3), `times_s` the
    seconds that they are shown at."""

    array: Any
    times_s: tuple[float, ...]

    @property
    def metadata(self) -> dict[str, Any]:
        """What processors of transformers call a video's metadata."""
        last = self.times_s[-1]
        return {
            "fps": MILLISECONDS,
            "total_num_frames": round(last * MILLISECONDS) + 1,
            "duration": last,
            "frames_indices": [round(time * MILLISECONDS) for time in self.times_s],
        }


Shown = DecodedClip | tuple[DecodedClip, DecodedClip]
"""The video that is asked about. Of a composed query: the one that it starts from, and then that video."""


def clips_of(shown: Shown) -> tuple[DecodedClip, ...]:
    """One video, or two."""
    return shown if isinstance(shown, tuple) else (shown,)


def read_clip(frames: Sequence[tuple[Path, float]]) -> DecodedClip:
    """Stored JPEGs of one video with their times. A single one is taken twice, since Qwen-VL's processors look at
    frames in twos. Raises OSError where one is gone or is no picture."""
    import numpy as np
    from PIL import Image

    pictures = []
    for path, _ in frames:
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    times = tuple(time for _, time in frames)
    if len(pictures) == 1:
        pictures, times = pictures * 2, times * 2
    return DecodedClip(np.stack(pictures), times)


def add_pair_template(processor: Any, profile: str | None = None) -> None:
    """Gives a processor's chat template the roles of a pair by a profile (default: ours), unless it knows them; nothing
    else of it changes. Raises UsageError where it has none, or another profile."""
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
    if not isinstance(template, str):
        raise UsageError(f"{type(processor).__name__} has no chat template, by which a reranker is asked")
    found = profile_of(template, profile)
    processor.chat_template = template if found is None else found.written_into(template)


def limit_frames(processor: Any, pixels: int, frames: int) -> None:
    """Has a processor of the Qwen-VL family show so many pixels of a frame at most; its limit is that of a video."""
    size = getattr(processor.video_processor, "size", None)
    if size is not None and "longest_edge" in size:
        processor.video_processor.size = {**dict(size), "longest_edge": pixels * frames}


def pair_text(processor: Any, query: str, reference: bool = False) -> str:
    """The prompt of a pair as the template renders it, the video as its placeholder. With `reference` the query starts
    from a video, whose placeholder comes before it. Raises ValueError where the template would not show that one."""
    if reference and not shows_reference(processor):
        raise ValueError(NO_REFERENCE)
    return _rendered(processor, query, reference)


def _rendered(processor: Any, query: str, reference: bool) -> str:
    asked = {"type": "text", "text": spell_out_for(processor.tokenizer, query)}
    messages = [
        {"role": "query", "content": [{"type": "video"}] * reference + [asked]},
        {"role": "document", "content": [{"type": "video"}]},
    ]
    # A template of its own decides what it makes of the generation prompt; those with a profile always have it.
    # It is named, since some processors (SmolVLM's) take another one by themselves where there is a video.
    template = processor.chat_template
    return str(
        processor.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True)
    )


def shows_reference(processor: Any) -> bool:
    """Whether the template shows the video that a query starts from, and the query with it. Those that earlier versions
    of Hardcut wrote, and others, do not."""
    word = "somequery"
    one, two = (_rendered(processor, word, reference) for reference in (False, True))
    mark = video_end(processor) or str(getattr(processor, "video_token", ""))
    return bool(mark) and two.count(mark) == 2 * one.count(mark) > 0 and word in two


def video_end(processor: Any) -> str:
    """The token that ends a video of the Qwen-VL family; nothing for others."""
    named = getattr(processor, "vision_end_token", None) or _VISION_END
    return str(named) if named in processor.tokenizer.get_vocab() else ""


def shows_video_first(processor: Any) -> bool:
    """Whether the template puts the query behind the video, so that the video can be read once for all queries."""
    end = video_end(processor)
    one, other = (pair_text(processor, query) for query in ("a", "b"))  # they differ from the first letter
    return bool(end) and one.rpartition(end)[0] == other.rpartition(end)[0]


def pair_inputs(processor: Any, pairs: Sequence[tuple[str, Shown]]) -> Any:
    """What a model is given for pairs of a query and what is shown of it, padded on the left: PyTorch tensors."""
    clips = [clips_of(shown) for _, shown in pairs]
    texts = [pair_text(processor, query, len(of) > 1) for (query, _), of in zip(pairs, clips, strict=True)]
    return video_inputs(processor, texts, [clip for of in clips for clip in of])


def video_inputs(processor: Any, texts: Sequence[str], clips: Sequence[DecodedClip], padding_side: str = "left") -> Any:
    """What a model is given for rendered texts, with the videos of all of them in their order."""
    return processor(
        text=list(texts),
        videos=[clip.array for clip in clips],
        video_metadata=[clip.metadata for clip in clips],
        do_sample_frames=False,
        padding=True,
        padding_side=padding_side,
        return_tensors="pt",
    )
