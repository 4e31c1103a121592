"""What a line of the user's file gives."""

from __future__ import annotations

from dataclasses import dataclass

from hardcut.schemas.ids import content_id, digest
from hardcut.schemas.text.words import words


@dataclass(frozen=True, slots=True)
class TextItem:
    """A caption; or a premise with a text that follows from it and one that contradicts it, as NLI files have them.
    `id` is `FILE:LINE`, `lines` those of the other two. `fault` is a reason and a detail why it cannot be used."""

    id: str
    text: str
    entailment: str | None = None
    contradiction: str | None = None
    lines: tuple[str, str] | None = None
    fault: tuple[str, str] | None = None

    @property
    def fingerprint(self) -> str:
        return digest(self.text, self.entailment, self.contradiction, self.fault)

    @property
    def family(self) -> str:
        """The same for texts of the same words: they share a split."""
        return content_id("f", words(self.text) or self.text)
