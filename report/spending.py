"""What a run has spent, teacher by teacher, at the prices of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hardcut.engine.budget import Usage
from hardcut.engine.status import Spend
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Price


@dataclass(frozen=True, slots=True)
class SpendLine(Spend):
    """What one stage spent on one teacher, with its price. `money` is None where the settings name no price,
    `estimated_money` is its part that rests on estimates."""

    money: float | None = None
    estimated_money: float | None = None

    @property
    def estimated_tokens(self) -> int:
        """Tokens that nobody has counted."""
        return self.estimated_prompt_tokens + self.estimated_completion_tokens


def spend_lines(books: Sequence[Spend], settings: Settings) -> list[SpendLine]:
    """The books of a run, a line for each stage and teacher, however the teacher's address was written."""
    calls: dict[tuple[str, str], int] = {}
    taken: dict[tuple[str, str], Usage] = {}
    for row in books:
        account = row.stage, canonical_name(row.teacher)
        calls[account] = calls.get(account, 0) + row.calls
        taken[account] = taken.get(account, Usage()) + Usage(
            row.prompt_tokens,
            row.completion_tokens,
            row.estimated_prompt_tokens,
            row.estimated_completion_tokens,
            row.sound_s,
        )
    prices = _prices(settings)
    return [_line(*account, calls[account], taken[account], prices) for account in calls]


def _line(stage: str, teacher: str, calls: int, taken: Usage, prices: Mapping[str, tuple[Price, float]]) -> SpendLine:
    found = prices.get(teacher)
    money = round(taken.cost(*found), 6) if found else None
    estimated = Usage(taken.estimated_prompt, taken.estimated_completion)
    return SpendLine(
        stage,
        teacher,
        calls,
        taken.prompt,
        taken.completion,
        taken.estimated_prompt,
        taken.estimated_completion,
        round(taken.sound_s, 3),
        money,
        round(estimated.cost(*found), 6) if found else None,
    )


def _prices(settings: Settings) -> dict[str, tuple[Price, float]]:
    """The prices of tokens and of a minute of sound of each teacher that has one, by its name in the books."""
    found = {
        canonical_name(teacher.spec): (teacher.price, 0.0)
        for teacher in (settings.teacher, *settings.asked)
        if teacher.price != Price()
    }
    evidence = settings.evidence
    for spec, minute in ((evidence.speech, evidence.speech_price), (evidence.sounds, evidence.sounds_price)):
        if minute:
            found[canonical_name(spec)] = Price(), minute
    return found
