"""How a reranker is shown a query and a video: the one prompt of training and of scoring.

It lives in the model's own chat template, which knows a pair as two messages of the roles `query` and `document` (those
of sentence-transformers' CrossEncoder) and turns it into a conversation that ends right before yes or no. So a saved
model carries its prompt, and whoever loads it, by whatever library, asks what it was trained on. The video comes first:
what precedes the query is the same for all queries of a video and is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.teacher.prompts.control_tokens import spell_out_for
from hardcut.teacher.prompts.question import PREFILL

SYSTEM = (
    "You judge whether a video answers a search query. It does only if everything that the query asks for is there, in "
    "the order and direction that it asks for, and nothing that it excludes. Reply with yes or no."
)
_ASK = "Does the video answer the query?"
_MARK = "{#- hardcut: a pair of query and document -#}"
# What a template can call the roles is not its own business: the pair becomes a conversation that any template renders.
# `<` is spelled out, so that a query cannot write control tokens or answer tags.
_BEFORE = (
    _MARK
    + "{%- set hardcut_query = messages | selectattr('role', 'equalto', 'query') | list -%}"
    + "{%- set hardcut_document = messages | selectattr('role', 'equalto', 'document') | list -%}"
    + "{%- if hardcut_query and hardcut_document -%}"
    + "{%- set hardcut_text = 'Query: ' + hardcut_query[0].content[0].text | replace('<', '\\\\u003c') -%}"
    + "{%- set messages = [{'role': 'system', 'content': [{'type': 'text', 'text': '"
    + SYSTEM
    + "'}]}, {'role': 'user', 'content': hardcut_document[0].content + [{'type': 'text', 'text': hardcut_text + '\\n"
    + _ASK
    + "'}]}] -%}"
    + "{%- set add_generation_prompt = true -%}"
    + "{%- endif -%}"
)
_AFTER = "{%- if hardcut_query and hardcut_document -%}{{ '" + PREFILL + "' }}{%- endif -%}"

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


def add_pair_template(processor: Any) -> None:
    """Gives a processor's chat template the roles of a pair, unless it knows them; nothing else of it changes."""
    template = processor.chat_template
    if _MARK not in template:
        processor.chat_template = _BEFORE + template + _AFTER


def pair_text(processor: Any, query: str) -> str:
    """The prompt of a pair as the template renders it, the video as its placeholder."""
    messages = [
        {"role": "query", "content": [{"type": "text", "text": spell_out_for(processor.tokenizer, query)}]},
        {"role": "document", "content": [{"type": "video"}]},
    ]
    return str(processor.apply_chat_template(messages, tokenize=False))


def pair_inputs(processor: Any, pairs: Sequence[tuple[str, DecodedClip]]) -> Any:
    """What a model is given for (query, clip) pairs, padded on the left: PyTorch tensors."""
    texts = [pair_text(processor, query) for query, _ in pairs]
    return video_inputs(processor, texts, [clip for _, clip in pairs])


def video_inputs(processor: Any, texts: Sequence[str], clips: Sequence[DecodedClip], padding_side: str = "left") -> Any:
    """What a model is given for rendered texts that hold one video each."""
    return processor(
        text=list(texts),
        videos=[clip.array for clip in clips],
        video_metadata=[clip.metadata for clip in clips],
        do_sample_frames=False,
        padding=True,
        padding_side=padding_side,
        return_tensors="pt",
    )
