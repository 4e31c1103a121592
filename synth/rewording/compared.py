"""Pairs of texts compared by a teacher: does whatever answers the first answer the second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import JsonValue

from hardcut.schemas.text.clean import clean
from hardcut.synth.requests import Asker, parsed_reply
from hardcut.teacher.prompts.reply_models import SameReply
from hardcut.teacher.protocol import Refusal

_TOGETHER = 16
"""Pairs in one request."""
_UNCOMPARED = "was not compared"


@dataclass(slots=True)
class Comparison:
    """What a teacher says of ordered pairs of texts. `refused` are the questions that it did not answer."""

    answers: dict[tuple[str, str], str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)

    def was_answered(self, first: str, second: str) -> bool:
        """Whether there is an answer about this pair."""
        return (first, second) in self.answers

    def beyond(self, first: str, second: str) -> str | None:
        """What the second asks for beyond the first; None where whatever answers the first answers the second."""
        return self.answers.get((first, second), _UNCOMPARED)

    def differences(self, text: str, wording: str) -> list[str]:
        """What a wording asks for beyond its text, and what it does not ask for; nothing where they say the same."""
        ways = ("asks for more", self.beyond(text, wording)), ("asks for less", self.beyond(wording, text))
        return [f"{finding}: {why}" for finding, why in ways if why is not None]

    def likeness(self, one: str, other: str) -> str | None:
        """Which of two texts asks for all that the other does, in words; None where neither does."""
        for first, second in ((one, other), (other, one)):
            if self.beyond(first, second) is None:
                return f"whatever answers {first!r} answers {second!r}"
        return None


async def compared(asker: Asker, pairs: Iterable[tuple[str, str]]) -> Comparison:
    """Compares each pair both ways, each way once."""
    ways = list(dict.fromkeys(way for one, other in pairs for way in ((one, other), (other, one))))
    found = Comparison()
    parts = [ways[at : at + _TOGETHER] for at in range(0, len(ways), _TOGETHER)]
    inputs: list[dict[str, JsonValue]] = [
        {"pairs": [{"number": at, "first": a, "second": b} for at, (a, b) in enumerate(part, 1)]} for part in parts
    ]
    for number, (part, outcome) in enumerate(
        zip(parts, await asker.outcomes("same", SameReply, inputs), strict=True), 1
    ):
        if isinstance(outcome, Refusal):
            found.refused[f"comparison {number}"] = outcome
            continue
        for each in parsed_reply(outcome, SameReply).pairs:
            if 1 <= each.number <= len(part):
                found.answers[part[each.number - 1]] = None if each.follows else clean(each.reason, 200) or "more"
    return found
