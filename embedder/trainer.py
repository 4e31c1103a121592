"""sentence-transformers' trainer, with items of ours as its columns, and checkpoints of what is trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

from hardcut.embedder.encoders import TRUE_TIMES, LocalEncoder, Shown, model_input
from hardcut.embedder.examples import EmbeddingData, Example, Item
from hardcut.embedder.network import sees_videos
from hardcut.reranker.clips import ClipReader, Clips, stand_in
from hardcut.reranker.trainers import TrainedWeights

if TYPE_CHECKING:
    from hardcut.embedder.encoders import Role
    from hardcut.engine.vectors import Matrix

LABEL = "label"
_BATCH = 16


class EmbeddingTrainer(TrainedWeights, SentenceTransformerTrainer):  # type: ignore[misc,unused-ignore]
    """Checkpoints hold what is trained, and no file of the base model."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """No card of the library's: Hardcut writes one."""


class Items:
    """The items of a training by their keys, and how a model is shown them."""

    def __init__(self, data: EmbeddingData, encoder: SentenceTransformer, clips: Clips, frames: int, most: int) -> None:
        self._by_key: dict[str, Item] = {
            item.key: item
            for item in (*(item for each in data.examples for item in each.items), *data.validation.items)
        }
        self._encoder, self._most = encoder, most
        self._named = sees_videos(encoder)
        self.reader = ClipReader(clips, frames)

    def preprocess(self, keys: Sequence[str], prompt: str | None = None, task: str | None = None, **_: Any) -> Any:
        """What a network is given for items; a text is cut after so many tokens, and its prompt is kept whole."""
        shown = [self._shown(self._by_key[key]) for key in keys]
        seen = any(each.clip is not None for each in shown)
        more = {"processing_kwargs": TRUE_TIMES} if seen else {"max_length": self._most}
        given = [model_input(each, named=self._named) for each in shown]
        return self._encoder.preprocess(given, prompt=prompt, task=task, **more)

    def encode(self, items: Sequence[Item], role: Role | str) -> Matrix:
        """Vectors of length 1, for measuring."""
        import numpy as np

        encoder = LocalEncoder(self._encoder, _BATCH)
        found = [
            encoder.encode([self._shown(item) for item in items[at : at + _BATCH]], role)  # type: ignore[arg-type]
            for at in range(0, len(items), _BATCH)
        ]
        return np.concatenate(found)

    def _shown(self, item: Item) -> Shown:
        if item.video is None:
            return Shown(item.text)
        return Shown(item.text, self.reader.read(item.video) or stand_in())


def tables(examples: Sequence[Example]) -> DatasetDict:
    """A table for each shape of examples, whose rows are compared with each other alone: the keys of their items, and
    the margins where they are known."""
    shapes: defaultdict[str, list[Example]] = defaultdict(list)
    for each in examples:
        shapes[each.shape].append(each)
    return DatasetDict({shape: Dataset.from_list([_row(each) for each in shapes[shape]]) for shape in sorted(shapes)})


def collator(items: Items) -> SentenceTransformerDataCollator:
    """Rows as the tensors of one step."""
    return SentenceTransformerDataCollator(preprocess_fn=items.preprocess, valid_label_columns=[LABEL])


def _row(example: Example) -> dict[str, Any]:
    row: dict[str, Any] = {"anchor": example.anchor.key, "positive": example.positive.key}
    row |= {f"negative{number}": item.key for number, item in enumerate(example.negatives, 1)}
    return row | ({LABEL: list(example.margins)} if example.margins else {})
