"""A world with known truth for the curriculum: things of a colour and shape that move, pass in order, or carry a word.

Drawn by the renderer of the bundled sample. Three corpora that share no clip (train, validation, test), queries of five
kinds with every judgment following from the truth, and a first stage: BM25 over what a careless caption would say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

import bm25s
import numpy as np
from PIL import Image

from hardcut.data.draw import draw_frames
from hardcut.data.family import scene
from hardcut.data.fonts import Fonts
from hardcut.data.model import Clip, Form, Frames, Meta, Thing, Words
from hardcut.media.sampler import Sample
from hardcut.schemas.ids import digest

COLOURS = ("red", "blue", "yellow", "purple")
SHAPES = ("ball", "car", "square", "star")
WORDS = ("STOP", "OPEN", "EXIT", "SALE")
WAYS = ("left", "right")
SPLITS = ("train", "validation", "test")
FRAMES = 8
SIDES = (96, 64)
DEPTH = 20
_FORM = Form(width=192, height=128, rate=8)
_LENGTH = 32
_NAMED = 0.55
"""How often a careless caption names the colour of a thing; it never says which way or in which order."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """A clip's truth: `things` are (colour, shape) in the order in which they pass, `way` where they go."""

    video_id: str
    things: tuple[tuple[str, str], ...] = ()
    way: str = ""
    word: str = ""

    @property
    def sha256(self) -> str:
        return digest("curriculum", self.video_id, self.things, self.way, self.word)

    @property
    def caption(self) -> str:
        """What happens, in full: what stage 1 learns."""
        if self.word:
            return f"the sign says {self.word}."
        told = ", then ".join(f"a {colour} {shape}" for colour, shape in self.things)
        return f"{told} moves to the {self.way}."

    def careless(self) -> str:
        """What the first stage searches."""
        draw = Random(f"careless/{self.video_id}")
        if self.word:
            return f"a sign {self.word.lower() if draw.random() < _NAMED else 'with letters'}"
        things = list(self.things)
        draw.shuffle(things)
        return " and ".join(f"a {c} {s}" if draw.random() < _NAMED else f"a {s}" for c, s in things)


@dataclass(frozen=True)
class Ask:
    """A query of a kind, and what answers it."""

    kind: str
    text: str
    answers: Callable[[Item], bool]


@dataclass(frozen=True)
class Pictures:
    """A clip's frames, for the frame store."""

    item: Item
    fonts: Fonts
    duration_s: float = _LENGTH / _FORM.rate
    missing: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        indices = tuple(range(0, _LENGTH, _LENGTH // FRAMES))
        for index, picture in zip(indices, draw_frames(_clip(self.item), self.fonts, indices), strict=True):
            small = np.asarray(Image.fromarray(picture).resize(SIDES, Image.Resampling.BILINEAR))
            yield Sample(index / _FORM.rate, small)


@dataclass(frozen=True)
class World:
    """Corpora, queries and judgments by split; it reads like an exported dataset."""

    seed: int
    sizes: dict[str, int]
    shuffled: bool = False
    configs: tuple[str, ...] = field(default=("queries", "pairs", "groups", "captions"), init=False)

    @cached_property
    def items(self) -> dict[str, list[Item]]:
        return {
            split: list(_items(split, count, Random(f"{self.seed}/{split}"))) for split, count in self.sizes.items()
        }

    @cached_property
    def asks(self) -> dict[str, dict[str, Ask]]:
        """Queries with at least one answer, by id."""
        found: dict[str, dict[str, Ask]] = {}
        for split, items in self.items.items():
            some = [ask for ask in _asks(Random(f"{self.seed}/{split}/asks")) if any(map(ask.answers, items))]
            found[split] = {f"{split}-{number:03}": ask for number, ask in enumerate(some)}
        return found

    def qrels(self, split: str) -> dict[str, dict[str, int]]:
        items = self.items[split]
        return {id: {item.video_id: int(ask.answers(item)) for item in items} for id, ask in self.asks[split].items()}

    @cached_property
    def _runs(self) -> dict[str, dict[str, dict[str, float]]]:
        return {split: _first_stage(items, self.asks[split]) for split, items in self.items.items()}

    def first_stage(self, split: str) -> dict[str, dict[str, float]]:
        return self._runs[split]

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        for split in ("train", "validation"):
            for row in getattr(self, f"_{config}")(split):
                yield split, row if columns is None else {name: row[name] for name in columns}

    def _queries(self, split: str) -> Iterator[Row]:
        for id, ask in self.asks[split].items():
            yield {"query_id": id, "query": ask.text}

    def _captions(self, split: str) -> Iterator[Row]:
        for item, shown in zip(self.items[split], self._shown(split), strict=True):
            yield {"caption_id": f"c-{item.video_id}", "caption": item.caption, **_where(item, shown)}

    def _pairs(self, split: str) -> Iterator[Row]:
        for rows in self._by_query(split).values():
            yield from rows

    def _groups(self, split: str) -> Iterator[Row]:
        """Each positive with two negatives: one that differs in little, one of the first stage's."""
        for id, rows in self._by_query(split).items():
            draw = Random(f"{self.seed}/{id}/groups")
            yes = [row for row in rows if row["label"]]
            no = [row for row in rows if not row["label"]]
            for row in yes:
                if len(no) >= 2:
                    group = f"{id}:{row['video_id']}"
                    head = {"group_id": group, "query_id": id, "query": row["query"]}
                    yield {**head, "positive": row, "negatives": draw.sample(no, 2)}

    def _by_query(self, split: str) -> dict[str, list[Row]]:
        """Judged pairs: what the first stage found, and every answer (no more than ten)."""
        shown = dict(zip((i.video_id for i in self.items[split]), self._shown(split), strict=True))
        by_id = {item.video_id: item for item in self.items[split]}
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for id, ask in self.asks[split].items():
            answers = [item.video_id for item in self.items[split] if ask.answers(item)][:10]
            for video in sorted({*self.first_stage(split)[id], *answers}):
                item = by_id[video]
                relevant = ask.answers(item)
                margin = Random(f"{id}/{video}/teacher").gauss(5.0 if relevant else -5.0, 2.0)
                found[id].append({
                    "pair_id": f"{id}:{video}", "query_id": id, "query": ask.text, "label": int(relevant),
                    "logit_margin": margin, "p_calibrated": None, "exact": True, **_where(item, shown[video]),
                })  # fmt: skip
        return found

    def _shown(self, split: str) -> list[Item]:
        """What each clip shows: itself, or in the control another one of its split."""
        items = list(self.items[split])
        if self.shuffled:
            Random(f"{self.seed}/{split}/shuffled").shuffle(items)
        return items


def kind_of(world: World, split: str) -> dict[str, str]:
    return {id: ask.kind for id, ask in world.asks[split].items()}


def _where(item: Item, shown: Item) -> Row:
    return {"video_id": item.video_id, "video_path": f"{item.video_id}.mp4", "sha256": shown.sha256}


def _items(split: str, count: int, draw: Random) -> Iterator[Item]:
    """Clips in pairs that differ in one thing: the direction, the order, or the word."""
    for number in range(count // 2):
        names = [f"{split}/{number:04}-{letter}" for letter in "ab"]
        kind = number % 5
        if kind == 4:
            first, second = draw.sample(WORDS, 2)
            yield Item(names[0], word=first)
            yield Item(names[1], word=second)
        elif kind in (1, 3):
            shapes, colours = draw.sample(SHAPES, 2), draw.sample(COLOURS, 2)
            things = tuple(zip(colours, shapes, strict=True))
            way = draw.choice(WAYS)
            yield Item(names[0], things, way)
            yield Item(names[1], things[::-1], way)
        else:
            thing = (draw.choice(COLOURS), draw.choice(SHAPES))
            for name, way in zip(names, WAYS, strict=True):
                yield Item(name, (thing,), way)


def _asks(draw: Random, most: int = 32) -> Iterator[Ask]:
    """Queries of every kind, at most so many of each."""
    both = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    made: dict[str, list[Ask]] = {
        "object": [Ask("object", f"a {c} {s}", lambda i, t=(c, s): t in i.things) for c, s in both],
        "chiral": [
            Ask("chiral", f"a {c} {s} moves to the {way}", lambda i, t=(c, s), w=way: (t,) == i.things and i.way == w)
            for c, s in both
            for way in WAYS
        ],
        "order": [
            Ask("order", f"first a {a[0]} {a[1]}, then a {b[0]} {b[1]}", lambda i, t=(a, b): i.things == t)
            for a in both
            for b in both
            if a[0] != b[0] and a[1] != b[1]
        ],
        "negated": [
            Ask("negated", f"a {s} that is not {c}",
                lambda i, c=c, s=s: any(t[1] == s for t in i.things) and (c, s) not in i.things)
            for c, s in both
        ],
        "words": [Ask("words", f"the sign says {word}", lambda i, w=word: i.word == w) for word in WORDS],
    }  # fmt: skip
    for kind, asks in made.items():
        # Few of the orders are in a corpus: all are offered, and those without an answer fall away.
        yield from asks if kind == "order" else draw.sample(asks, min(most, len(asks)))


def _first_stage(items: Sequence[Item], asks: dict[str, Ask]) -> dict[str, dict[str, float]]:
    index = bm25s.BM25()
    index.index(bm25s.tokenize([item.careless() for item in items], show_progress=False), show_progress=False)
    asked = bm25s.tokenize([ask.text for ask in asks.values()], show_progress=False, return_ids=False)
    depth = min(DEPTH, len(items))
    found, scores = index.retrieve(asked, k=depth, show_progress=False)
    return {
        id: {items[int(at)].video_id: float(score) for at, score in zip(row, values, strict=True)}
        for id, row, values in zip(asks, found, scores, strict=True)
    }


def _clip(item: Item) -> Clip:
    draw = Random(f"picture/{item.video_id}/{item.sha256}")
    total = Frames(first=0, end=_LENGTH)
    backdrop = scene(draw, draw.choice(("meadow", "street", "room")), _LENGTH)
    meta = Meta(title="-", description="-", tags=())
    if item.word:
        words = Words(
            text=item.word, script="latin", centre=(0.5, draw.uniform(0.4, 0.6)), height_px=34, ink="white",
            plate="navy", shown=total,
        )  # fmt: skip
        return Clip(video_id=item.video_id, form=_FORM, scenes=(backdrop,), words=(words,), meta=meta)
    each = _LENGTH // len(item.things)
    x = (0.1, 0.9) if item.way == "right" else (0.9, 0.1)
    things = tuple(
        Thing.model_validate({
            "shape": shape, "colour": colour, "size": 0.4, "start": (x[0], 0.6), "end": (x[1], 0.6),
            "visible": Frames(first=each * number, end=each * (number + 1)),
            "moving": Frames(first=each * number, end=each * (number + 1)),
        })
        for number, (colour, shape) in enumerate(item.things)
    )  # fmt: skip
    return Clip(video_id=item.video_id, form=_FORM, scenes=(backdrop,), things=things, meta=meta)
