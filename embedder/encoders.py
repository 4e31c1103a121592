"""What makes vectors: a model on this machine, by sentence-transformers. `server.py` has those of servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hardcut.engine.vectors import unit
from hardcut.schemas.errors import ItemError
from hardcut.teacher.local.pair_prompt import DecodedClip

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from hardcut.engine.vectors import Matrix

Role = Literal["query", "document"]
TRUE_TIMES = {"video": {"do_sample_frames": False}}
"""What a processor is told: the frames that it gets are the ones to look at, at the times that they have. Otherwise
Qwen-VL's takes them for a film of 24 frames a second, and looks at four of them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a vector is made of: a text, the frames of a video, or both (an edit of this video). `frames`: where these
    frames are stored."""

    text: str | None = None
    clip: DecodedClip | None = None
    frames: tuple[Path, ...] = ()

    @property
    def pictures(self) -> list[bytes]:
        """The frames as they are stored, JPEG each."""
        return [path.read_bytes() for path in self.frames]


class Encoder(Protocol):
    """Makes vectors."""

    @property
    def sees(self) -> bool:
        """Whether it takes videos."""
        ...

    @property
    def batch(self) -> int:
        """How many it is given at once."""
        ...

    def encode(self, items: Sequence[Shown], role: Role) -> Matrix:
        """Vectors of length 1, [items, dimension]. Raises ItemError where it makes none of these."""
        ...


class LocalEncoder:
    """A model in this process."""

    def __init__(self, model: SentenceTransformer, batch: int) -> None:
        from hardcut.embedder.network import sees_videos

        self._model = model
        self.batch = batch
        self.sees = sees_videos(model)

    def encode(self, items: Sequence[Shown], role: Role) -> Matrix:
        call: Any = self._model.encode_query if role == "query" else self._model.encode_document
        given = [model_input(item, named=self.sees) for item in items]
        more = {"processing_kwargs": TRUE_TIMES} if any(item.clip for item in items) else {}
        made = call(given, batch_size=len(given), show_progress_bar=False, convert_to_numpy=True, **more)
        try:
            return unit(made)
        except ValueError as error:
            raise ItemError("no_vector", str(error)) from error


def model_input(item: Shown, *, named: bool) -> Any:
    """An item as sentence-transformers takes it. `named`: a text says that it is one. Otherwise a text such as
    `http://host/a.png` would be taken for a picture and fetched by models that see."""
    if item.clip is None:
        return {"text": item.text} if named else item.text
    video = {"array": item.clip.array, "video_metadata": item.clip.metadata}
    return {"video": video} if item.text is None else {"video": video, "text": item.text}
