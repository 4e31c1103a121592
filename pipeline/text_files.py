"""Captions and NLI files of the user, read line by line as items of `synth text`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from hardcut.engine.stage import Source
from hardcut.publish._scratch import Scratch
from hardcut.publish.formats.reading import read_csv, read_lines
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.text.clean import clean
from hardcut.synth.text.item import TextItem

_CAPTION = ("text", "caption", "sentence", "description")
_PAIR = (("sentence1", "sentence2", "gold_label"), ("premise", "hypothesis", "label"),
         ("sentence1", "sentence2", "label"), ("premise", "hypothesis", "gold_label"))  # fmt: skip
_TRIPLE = (("premise", "entailment", "contradiction"), ("sent0", "sent1", "hard_neg"),
           ("anchor", "positive", "negative"))  # fmt: skip
_ENTAILMENT, _CONTRADICTION = ("entailment", "0"), ("contradiction", "2")
"""Labels of NLI files: words as in SNLI and MNLI, numbers as on the Hub (1 is neutral)."""


@dataclass(frozen=True)
class TextFile:
    """A file of captions (.txt: one a line; .jsonl, .csv, .tsv with a column of text) or of NLI: a premise with a text
    and its label a line, or a premise with both texts. Iterated, it gives the same sources each time; memory holds a
    number for each caption.

    `scratch` holds the pairs of an NLI file by premise. Raises UsageError naming file and line.
    """

    path: Path
    scratch: Scratch
    column: str | None = None
    limit: int | None = None

    @classmethod
    def opened(cls, path: Path, scratch: Scratch, column: str | None = None, limit: int | None = None) -> TextFile:
        """Reads the file once: a wrong line is told before any work."""
        file = cls(path, scratch, column, limit)
        scratch.fill(file._pairs())
        if next(iter(file), None) is None:
            raise UsageError(f"{path}: it has no text in it")
        return file

    def __iter__(self) -> Iterator[Source]:
        seen: set[bytes] = set()
        for count, item in enumerate(self._items()):
            if self.limit is not None and count >= self.limit:
                break
            number = blake2b(item.fingerprint.encode(), digest_size=8).digest()
            if number in seen:
                item = TextItem(item.id, item.text, fault=("duplicate", "a line before it says the same"))
            seen.add(number)
            yield Source(item.id, item.fingerprint, item)

    def _items(self) -> Iterator[TextItem]:
        if self._form in _PAIR:
            yield from self._of_premises()
            return
        for line, row in self._rows():
            id = f"{self.path.name}:{line}"
            texts = [clean(str(row.get(name) or "")) for name in self._form]
            if not all(texts):
                missing = self._form[texts.index("")]
                yield TextItem(id, texts[0] or "-", fault=("empty", f"line {line} has no {missing}"))
            elif len(texts) == 1:
                yield TextItem(id, texts[0])
            else:
                premise, entailment, contradiction = texts
                yield TextItem(id, premise, entailment, contradiction, (id, id))

    def _of_premises(self) -> Iterator[TextItem]:
        """Of each premise its entailments with its contradictions, in the order of the file."""
        for _, bodies in self.scratch.groups():
            rows = [json.loads(body) for body in bodies]
            premise = rows[0][1]
            following = [(line, text) for line, _, text, label in rows if label in _ENTAILMENT and text]
            against = [(line, text) for line, _, text, label in rows if label in _CONTRADICTION and text]
            for (one, entailment), (other, contradiction) in zip(following, against, strict=False):
                lines = f"{self.path.name}:{one}", f"{self.path.name}:{other}"
                yield TextItem(f"{lines[0]}+{other}", premise, entailment, contradiction, lines)
            count = min(len(following), len(against))
            used = {number for number, _ in (*following[:count], *against[:count])}
            for number, _, text, label in rows:
                if number not in used:
                    detail = f"{text!r} is labelled {label!r}: nothing is left that it could stand against"
                    yield TextItem(f"{self.path.name}:{number}", premise, fault=("no_contrast", detail))

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """The lines of a file of pairs, by a digest of the premise."""
        if self._form not in _PAIR:
            return
        for line, row in self._rows():
            premise, text, label = (clean(str(row.get(name, ""))) for name in self._form)
            yield digest(premise), canonical_json([line, premise or "-", text, label.lower() if premise else "empty"])

    @cached_property
    def _form(self) -> tuple[str, ...]:
        """The columns that are read."""
        if self.path.suffix.lower() == ".txt":
            return ("text",)
        first = next(self._rows(), None)
        if first is None:
            raise UsageError(f"{self.path}: it has no row")
        there: Mapping[str, Any] = first[1]
        forms = [(self.column,)] if self.column else [*_TRIPLE, *_PAIR, *((name,) for name in _CAPTION)]
        found = next((form for form in forms if all(name in there for name in form)), None)
        if found is None:
            asked = f"no column {self.column!r}" if self.column else "no column of text"
            raise UsageError(
                f"{self.path}: {asked}; it has {', '.join(map(str, there))}. Captions are in `text` (--column names "
                "another), NLI in `premise`, `hypothesis`, `label` or `sentence1`, `sentence2`, `gold_label`"
            )
        return found

    def _rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """(line, row by column)."""
        if self.path.suffix.lower() == ".txt":
            for where, line in read_lines(self.path):
                yield int(where.rpartition(" ")[2]), {"text": line}
        elif self.path.suffix.lower() in (".jsonl", ".json"):
            yield from read_objects(self.path)
        elif self.path.suffix.lower() in (".csv", ".tsv"):
            for where, row in read_csv(self.path, (), "\t" if self.path.suffix.lower() == ".tsv" else ","):
                yield int(where.rpartition(" ")[2]), row
        else:
            raise UsageError(f"{self.path}: captions are read from .txt, .jsonl, .csv or .tsv")
