"""Makes vectors of videos and texts, each once. What is made is kept in shards, and the same call again goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.embedder.encoders import Encoder, Role, Shown
from hardcut.embedder.items import KINDS, Entries, Entry, What
from hardcut.engine.ahead import ahead
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import NullProgress, Progress
from hardcut.engine.vectors import VectorFolder, VectorWriter, read_note, write_note
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import MISSING_VIDEO, LeftOut
from hardcut.schemas.errors import DropItem, ItemError, StorageError, UsageError

if TYPE_CHECKING:
    from hardcut.engine.vectors import Matrix

LEFT_OUT = "left_out.jsonl"
NO_VECTOR = "no_vector"
"""Why something has none: the model made none of it."""
_VIDEOS, _TEXTS = 512, 8192
"""Vectors in a shard: what is lost at most where a call is killed."""


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """What is made into vectors, by frames under `clips`, at most `frames` of a video, into which folder. `made_by`
    names the model and all else that could change a vector."""

    entries: Entries
    out: Path
    clips: Clips
    frames: int
    made_by: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was done: vectors by kind, how many of them were made now, and what has none, with the reason."""

    vectors: dict[str, int]
    made: int
    dimension: int
    left_out: tuple[LeftOut, ...]


def embed(job: EmbedJob, encoder: Encoder, progress: Progress | None = None) -> Embedded:
    """Makes what is missing in the folder, and takes out what does not belong there any more.

    Raises UsageError where the folder holds vectors of another model or other settings, StorageError, and what the
    encoder raises that concerns more than one item.
    """
    _begin(job)
    left_out = list(job.entries.left_out)
    made = 0
    for kind in KINDS:
        if kind in job.entries.of:
            made += _Kind(job, encoder, kind, left_out).embed(progress or NullProgress())
    with atomic_writer(job.out / LEFT_OUT) as file:
        file.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in left_out)
    folder = VectorFolder(job.out)
    counts = {kind: folder.count(kind) for kind in folder.kinds}
    dimension = next((block.shape[1] for kind in counts for block in folder.blocks(kind, 1)), 0)
    write_note(job.out, {**job.made_by, "vectors": counts, "dimension": dimension, "complete": True})
    return Embedded(counts, made, dimension, tuple(left_out))


def _begin(job: EmbedJob) -> None:
    """Refuses a folder of something else; marks it as unfinished."""
    note = read_note(job.out)
    if note is None and job.out.is_dir() and any(job.out.iterdir()):
        raise UsageError(f"{job.out}: holds something else: name another folder")
    if note is not None:
        wanted = json.loads(json.dumps(job.made_by))
        other = sorted(name for name in wanted if note.get(name) != wanted[name])
        if other:
            raise UsageError(f"{job.out}: its vectors differ in {', '.join(other)}: name another folder")
    write_note(job.out, {**job.made_by, "complete": False})


class _Kind:
    """The vectors of one kind."""

    def __init__(self, job: EmbedJob, encoder: Encoder, kind: What, left_out: list[LeftOut]) -> None:
        self._job, self._encoder, self._kind, self._left_out = job, encoder, kind, left_out
        self._role: Role = "query" if kind == "queries" else "document"
        self._shard = _VIDEOS if kind == "videos" else _TEXTS

    def embed(self, progress: Progress) -> int:
        """How many were made."""
        entries = self._job.entries.of[self._kind]
        writer = VectorWriter(self._job.out, self._kind, {each.id: each.content for each in entries})
        missing = [each for each in entries if each.id not in writer.known]
        progress.started(self._kind, len(missing))
        count = 0
        for at in range(0, len(missing), self._shard):
            done: list[tuple[Entry, Matrix]] = []
            for batch in ahead(self._batches(missing[at : at + self._shard])):
                done += self._vectors(batch)
                for _ in batch:
                    progress.advanced(self._kind)
            if done:
                self._write(writer, done)
            count += len(done)
        progress.finished(self._kind)
        return count

    def _batches(self, entries: Sequence[Entry]) -> Iterator[list[tuple[Entry, Shown | LeftOut]]]:
        """What a model is given at once; of a video that cannot be read, why."""
        size = self._encoder.batch
        for at in range(0, len(entries), size):
            yield [(entry, self._shown(entry)) for entry in entries[at : at + size]]

    def _shown(self, entry: Entry) -> Shown | LeftOut:
        if entry.video is None:
            return Shown(entry.text)
        try:
            clip = self._job.clips.read(entry.video, self._job.frames)
            stored = self._job.clips.frames(entry.video, self._job.frames)
            frames = [path for path, _ in stored]
            return Shown(entry.text, clip, tuple(frames * 2 if len(frames) == 1 else frames))
        except (ItemError, DropItem, StorageError) as error:
            return LeftOut(entry.id, MISSING_VIDEO, str(error))

    def _vectors(self, batch: Sequence[tuple[Entry, Shown | LeftOut]]) -> list[tuple[Entry, Matrix]]:
        self._left_out += [shown for _, shown in batch if isinstance(shown, LeftOut)]
        usable = [(entry, shown) for entry, shown in batch if isinstance(shown, Shown)]
        if not usable:
            return []
        try:
            vectors = self._encoder.encode([shown for _, shown in usable], self._role)
        except ItemError as error:
            if len(usable) == 1:
                self._left_out.append(LeftOut(usable[0][0].id, NO_VECTOR, str(error)))
                return []
            return [found for each in usable for found in self._vectors([each])]  # one of them spoils it for all
        return [(entry, vector) for (entry, _), vector in zip(usable, vectors, strict=True)]

    def _write(self, writer: VectorWriter, done: Sequence[tuple[Entry, Matrix]]) -> None:
        import numpy as np

        ids = [entry.id for entry, _ in done]
        writer.add(ids, [entry.content for entry, _ in done], np.stack([vector for _, vector in done]))
