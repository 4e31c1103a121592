"""What a model is shown of a pair, as one digest: the same pair is not shown alike by every version of a library.

A fixed clip and query go through the processor as any pair does. The digest is of what comes out: token ids (prompt,
times of frames, places of the video), the grid of patches, and the pixels as the model gets them. It is kept with a
trained model, with the labels of a judge and with a reranked run, and held against the processor that scores: another
digest means other scores, without an error.
"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hardcut.schemas.ids import digest
from hardcut.schemas.records import Sampling
from hardcut.teacher.local.generation import Prompt
from hardcut.teacher.local.pair_prompt import DecodedClip, pair_inputs
from hardcut.teacher.local.pictures import chat_inputs, chat_text

SHOWN, VERSIONS = "shown", "versions"
"""What `train.json` calls the digest, and the libraries by version that it was made with."""
_QUERY = "a red square moves left, and then <nothing> else"
_TIMES = (0.0, 0.4, 1.1, 1.5, 2.2, 3.0)


def shown_digest(processor: Any) -> str:
    """Of a processor that knows pairs. Pixels count to two digits after the point: they differ by rounding between
    machines."""
    return _digest_of(pair_inputs(processor, [(_QUERY, _clip())]))


def _digest_of(inputs: Any) -> str:
    parts: list[Any] = []
    for name in sorted(inputs):
        value = inputs[name]
        if getattr(value, "is_floating_point", lambda: False)():
            flat = value.double().flatten()
            parts.append(
                [name, list(value.shape), [round(float(each), 2) + 0.0 for each in flat[:: max(1, len(flat) // 64)]]]
            )
        else:
            parts.append([name, value.tolist() if hasattr(value, "tolist") else value])
    return digest("shown", parts)


def judged_digest(processor: Any, pictures_shown: bool = True) -> str:
    """The same of a processor of a judge, which is shown a video as pictures with their times between them; of one that
    is shown none, of its text."""
    from PIL import Image

    pictures = [Image.fromarray(each) for each in _clip().array[:2]] if pictures_shown else []
    labels = tuple((f"<{time:.1f} s>", Path(str(time))) for time in _TIMES[: len(pictures)])
    prompt = Prompt("judge", _QUERY, labels, Sampling(reasoning=False), judge=True)
    text = chat_text(processor, processor.tokenizer, prompt)
    return _digest_of(chat_inputs(processor, [text], [pictures]))


def versions(*further: str) -> dict[str, str]:
    """The libraries that decide what a model is shown, and `further` ones; without those that are not installed. Loads
    none of them."""
    found = {}
    for name in ("transformers", "torch", *further):
        with suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]
    return found


def told_apart(model: str, processor: Any) -> str | None:
    """What is to be said where a model that Hardcut trained is shown pairs otherwise than in training; None where it is
    not, or where nobody noted it."""
    try:
        found = json.loads((Path(model) / "train.json").read_text("utf-8"))
        before, made_with = found[SHOWN], found[VERSIONS]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if before is None or before == shown_digest(processor):
        return None
    now = versions()
    differ = [f"{name} {made_with.get(name)}, now {now[name]}" for name in now if made_with.get(name) != now[name]]
    why = f" ({'; '.join(differ)})" if differ else ""
    return f"{model}: pairs are shown to it otherwise than in training{why}: its scores are others"


def _clip() -> DecodedClip:
    """Six frames in which no two places look alike."""
    import numpy as np

    grid = np.add.outer(np.arange(64) * 2, np.arange(96)) % 256
    frames = [np.stack([grid, (grid + 40 * at) % 256, (grid * 3 + 11 * at) % 256], -1) for at in range(len(_TIMES))]
    return DecodedClip(np.stack(frames).astype(np.uint8), _TIMES)
