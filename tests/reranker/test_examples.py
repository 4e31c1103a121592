"""What a stage is given of a dataset: no torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hardcut.reranker.examples import read_perception


class Captions:
    """A dataset of these captions: (split, video, caption's id, long, short)."""

    configs = ("captions",)

    def __init__(self, *rows: tuple[str, str, str, str, str | None]) -> None:
        self._rows = rows

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        assert config == "captions"
        for split, video, caption_id, text, short in self._rows:
            file = {"video_id": video, "video_path": f"{video}.mp4", "sha256": video}
            yield split, {**file, "caption_id": caption_id, "caption": text, "short": short}


def test_every_caption_of_a_video_is_learned_long_and_short() -> None:
    given = read_perception(
        Captions(
            ("train", "b", "c3", "A door opens. A man leaves.", None),
            ("train", "a", "c2", "A dog runs left.", "A dog."),
            ("validation", "v", "c4", "A bus stops.", "A bus."),
            ("train", "a", "c1", "A dog runs. It barks.", "A dog barks."),
            ("test", "t", "c5", "Rain falls.", "Rain."),
        )
    )
    assert [(each.video.video_id, each.caption) for each in given.examples] == [
        ("a", "A dog runs. It barks."),
        ("a", "A dog barks."),
        ("a", "A dog runs left."),
        ("a", "A dog."),
        ("b", "A door opens. A man leaves."),
    ]
    assert [each.caption for each in given.validation] == ["A bus stops.", "A bus."]
