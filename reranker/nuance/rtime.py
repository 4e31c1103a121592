"""RTime (qyr0403/Reversed-in-Time): videos and the same played backwards, each with captions.

*Binary*, of videos with a reverse: the first caption of each is nearer to its own video than to the other one (t2v),
and each video to its own caption (v2t). Retrieval of the videos as they are, by their captions, is plain (`origin`);
among the reversed ones too, by all captions, it is `hard`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hardcut.reranker.nuance.benchmark import Asked, Benchmark, Choice, Part, trec_id
from hardcut.reranker.nuance.files import json_object, one_file
from hardcut.schemas.errors import UsageError

REVERSED = "#reversed"
"""What the id of a video that is played backwards ends in."""
_RANKED = ("R@1", "R@5", "R@10", "mAP")


@dataclass(frozen=True, slots=True)
class _Captions:
    """Captions by the video that they are of, forwards (`id`) or backwards (`id#reversed`), and these by id."""

    of: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]


def read_rtime(files: Sequence[Path]) -> Benchmark:
    """Reads a .json: {video id: {forward_captions: [..], reverse_captions: [..]}}."""
    path = one_file("rtime", files, ".json")
    of: dict[str, tuple[str, ...]] = {}
    texts: dict[str, str] = {}
    for video, told in json_object(path).items():
        for name, suffix in (("forward", ""), ("reverse", REVERSED)):
            captions = _texts(path, video, told, f"{name}_captions")
            if not captions:
                continue
            ids = tuple(f"{trec_id(video)}{suffix}/{number}" for number in range(len(captions)))
            of[f"{trec_id(video)}{suffix}"] = ids
            texts |= dict(zip(ids, captions, strict=True))
    captions_of = _Captions(of, texts)
    known = {**{id: Asked(text=text) for id, text in texts.items()}, **{video: Asked(video=video) for video in of}}
    parts = (
        Part("binary t2v", ("accuracy",), partial(_binary_texts, captions_of)),
        Part("binary v2t", ("accuracy",), partial(_binary_videos, captions_of)),
        Part("t2v hard", _RANKED, partial(_retrieval, captions_of, True)),
        Part("t2v origin", _RANKED, partial(_retrieval, captions_of, False), plain=True),
    )
    return Benchmark("rtime", parts, known, known)


def _pairs(captions: _Captions) -> Iterator[tuple[str, str]]:
    """Each video that has a reverse, and that; both ways."""
    for video in captions.of:
        back = f"{video}{REVERSED}"
        if back in captions.of:
            yield video, back
            yield back, video


def _binary_texts(captions: _Captions) -> Iterator[Choice]:
    for own, other in _pairs(captions):
        yield Choice(captions.of[own][0], (own, other), frozenset({own}))


def _binary_videos(captions: _Captions) -> Iterator[Choice]:
    for own, other in _pairs(captions):
        right = captions.of[own][0]
        yield Choice(own, (right, captions.of[other][0]), frozenset({right}))


def _retrieval(captions: _Captions, hard: bool) -> Iterator[Choice]:
    videos = tuple(video for video in captions.of if hard or not video.endswith(REVERSED))
    for video in videos:
        for caption in captions.of[video]:
            yield Choice(caption, videos, frozenset({video}))


def _texts(path: Path, video: str, told: Any, name: str) -> list[str]:
    found = told.get(name, []) if isinstance(told, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) and text.strip() for text in found):
        raise UsageError(f"{path}: {name} of {video!r} is not a list of texts")
    return found
