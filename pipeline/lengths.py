"""How long questions and replies are in a teacher's tokens: as it counted those that it has answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hardcut.pipeline.amounts import ENOUGH, Amount
from hardcut.schemas.records import Tokens
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.protocol import Task

_CHARACTERS_A_TOKEN = 3.5
_PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 pixels, merged two by two."""
_USUAL_LETTERS = 5000
"""Of a prompt, where no prompt is known yet."""
_IN_WORDS = 0.5
"""Of a prompt with pictures, the part that is text where the same is asked without pictures: then less is told too."""


class Asked(NamedTuple):
    """A question: who is asked, about which video, whether its reply is in the cache, and what it is long by. `tokens`
    is what the teacher counted; 0 where it told nothing."""

    teacher: TeacherSettings
    task: Task
    video: str
    kept: bool
    pictures: int
    letters: int
    tokens: Tokens


class _Rate(NamedTuple):
    """Tokens of a letter, and of a picture."""

    letter: float
    picture: float

    def of(self, letters: float, pictures: float) -> float:
        return letters * self.letter + pictures * self.picture


class _Letters(NamedTuple):
    """Of questions of a kind: their mean letters, and how many more they have for each letter that a question for a
    caption has more than in `usual` (all evidence is told there; Cochran's regression estimator)."""

    mean: float
    slope: float
    usual: float
    told: Mapping[str, int]

    @classmethod
    def of(cls, letters: Sequence[tuple[str, int]], told: Mapping[str, int]) -> _Letters:
        mean = _mean(count for _, count in letters)
        both = [(told[video], count) for video, count in letters if video in told]
        usual = _mean(each for each, _ in both) if both else 0.0
        square = sum((each - usual) ** 2 for each, _ in both)
        if len({video for video, _ in letters}) < ENOUGH or not square:
            return cls(mean, 0.0, usual, told)
        slope = sum((each - usual) * (count - mean) for each, count in both) / square
        return cls(mean, min(1.0, max(0.0, slope)), usual, told)

    def of_calls(self, amount: Amount) -> float:
        """Letters of so many questions about these videos."""
        more = sum(
            calls * (self.told[video] - self.usual) for video, calls in amount.about.items() if video in self.told
        )
        return amount.calls * self.mean + self.slope * more


class Lengths:
    """What was learned of all teachers from questions that were asked."""

    def __init__(self, asked: Sequence[Asked], settings: Settings) -> None:
        self._usual = _Rate(1 / _CHARACTERS_A_TOKEN, settings.media.max_pixels // _PIXELS_A_TOKEN)
        counted: defaultdict[TeacherSettings, list[Asked]] = defaultdict(list)
        letters: defaultdict[tuple[TeacherSettings, Task, bool], list[tuple[str, int]]] = defaultdict(list)
        replies: defaultdict[tuple[TeacherSettings, Task], list[int]] = defaultdict(list)
        for each in asked:
            letters[each.teacher, each.task, each.pictures > 0].append((each.video, each.letters))
            if each.kept and each.tokens.prompt:
                counted[each.teacher].append(each)
                replies[each.teacher, each.task].append(each.tokens.completion)
        self._rates = {teacher: _fitted(each, self._usual) for teacher, each in counted.items() if len(each) >= ENOUGH}
        told = {each.video: each.letters for each in asked if each.task == "caption"}
        self._letters = {key: _Letters.of(each, told) for key, each in letters.items()}
        self._replies = {key: _mean(each) for key, each in replies.items() if len(each) >= ENOUGH}

    def prompt(self, asked: Asked) -> float:
        """Tokens of a question that is known."""
        return self._rate(asked.teacher).of(asked.letters, asked.pictures)

    def prompt_of(self, teacher: TeacherSettings, task: Task, shown: bool, amount: Amount) -> float:
        """Tokens of questions that are not known yet: as long as others of their kind, and longer about a video of
        which more is told."""
        known = self._letters.get((teacher, task, shown))
        other = self._letters.get((teacher, task, not shown))
        if known is not None:
            letters = known.of_calls(amount)
        elif other is not None:
            letters = other.of_calls(amount) * (_IN_WORDS if not shown else 1)
        else:
            letters = amount.calls * _USUAL_LETTERS
        return self._rate(teacher).of(letters, amount.pictures)

    def reply(self, teacher: TeacherSettings, task: Task) -> float | None:
        """Tokens of a reply; None where too few are known."""
        return self._replies.get((teacher, task))

    def _rate(self, teacher: TeacherSettings) -> _Rate:
        return self._rates.get(teacher, self._usual)


def _fitted(counted: Sequence[Asked], usual: _Rate) -> _Rate:
    """The rates by which the teacher's counts are met best (least squares); where text and pictures cannot be told
    apart, the usual ones, both scaled."""
    ll = sum(each.letters**2 for each in counted)
    lp = sum(each.letters * each.pictures for each in counted)
    pp = sum(each.pictures**2 for each in counted)
    lt = sum(each.letters * each.tokens.prompt for each in counted)
    pt = sum(each.pictures * each.tokens.prompt for each in counted)
    apart = ll * pp - lp * lp
    if pp and apart > 0.01 * ll * pp:
        letter, picture = (lt * pp - pt * lp) / apart, (pt * ll - lt * lp) / apart
        if letter > 0 and picture > 0:
            return _Rate(letter, picture)
    told = sum(each.tokens.prompt for each in counted)
    scale = told / sum(usual.of(each.letters, each.pictures) for each in counted)
    return _Rate(usual.letter * scale, usual.picture * scale)


def _mean(values: Iterable[int]) -> float:
    found = list(values)
    return sum(found) / len(found)
