"""The questions and the cost of a run, before anything is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.status import read_status
from hardcut.pipeline.amounts import Amount, Kind
from hardcut.pipeline.begun import as_begun
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import find_videos
from hardcut.pipeline.expected import Expected
from hardcut.pipeline.lengths import Asked, Lengths
from hardcut.pipeline.preview import Question, RunRecords, is_free, preview
from hardcut.pipeline.spread import Interval, intervals
from hardcut.pipeline.stages import STAGES, asking
from hardcut.report.spending import spend_lines
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.config import load_settings
from hardcut.schemas.resources import Budget
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.brief import Briefing
from hardcut.teacher.registry import prompts_of

Account = tuple[str, TeacherSettings]
"""A stage and a teacher."""

_SHORTEST_REPLY = 40
_SMALL_QUESTIONS = 4
"""Calls of a stage at most that only asked what a server can do."""
_MOST_AGAIN = 2.2
"""Calls that a question takes at most; more were asked for other settings."""
_ORDER = {entry.name: at for at, entry in enumerate(STAGES)}


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one stage to one teacher. `known` calls are counted. `estimated` calls follow from the settings,
    or from what the run did so far, since their inputs do not exist yet. Tokens and price leave out calls with a reply
    in the cache. Where such questions have been answered, tokens are what they taught; else replies are ranges, from
    the shortest to the longest that is allowed. `between` are the fewest and the most calls that may be to come."""

    stage: str
    teacher: str
    known: int
    cached: int
    estimated: int
    frames: int
    prompt_tokens: int
    completion_tokens: tuple[int, int]
    price: tuple[float, float]
    between: tuple[int, int] = (0, 0)

    @property
    def calls(self) -> int:
        """Calls that are still to be paid."""
        return self.known - self.cached + self.estimated


@dataclass(frozen=True, slots=True)
class Estimate:
    """The calls of a run, a line for each stage and teacher. `learned` are the videos that were learned from, `between`
    the fewest and the most calls: what the sample leaves open, or, where nothing was learned, what can be at all."""

    videos: int
    lines: tuple[Line, ...]
    budget: Budget
    learned: int = 0
    between: tuple[int, int] = (0, 0)

    @property
    def calls(self) -> int:
        """Calls that are still to be paid."""
        return sum(line.calls for line in self.lines)

    @property
    def price(self) -> tuple[float, float]:
        """The lowest and the highest price of these calls."""
        low, high = (sum(line.price[end] for line in self.lines) for end in (0, 1))
        return low, high


async def estimate(videos: str | Path, run: Path, settings: Settings, cache: Cache) -> Estimate:
    """The calls that the run in `run` over the folder `videos` would make. Raises UsageError as the run does."""
    settings = as_begun(settings, run)
    files = find_videos(videos, settings, run, cache).files
    records = RunRecords(run)
    heard = _distinct(await preview(settings, run, cache, records, asking(), sorted(records.videos)))
    if _is_as_it_was(run, settings):
        heard = [each for each in heard if each[1].kept or not _is_settled(each[0], records)]
    expected = Expected(settings, records, files, [question for question, _ in heard])
    again = _again(run, settings, [question for question, _ in heard])
    lengths = Lengths([asked for _, asked in heard], settings)
    asked: defaultdict[Account, list[Asked]] = defaultdict(list)
    for question, each in heard:
        asked[question.stage, question.teacher].append(each)
    amounts: defaultdict[Account, dict[Kind, Amount]] = defaultdict(dict)
    for kind, amount in expected.amounts().items():
        amounts[kind.stage, kind.teacher][kind] = amount
    between = intervals(expected, again)
    accounts = sorted({*asked, *amounts}, key=lambda account: _ORDER[account[0]])
    lines = [
        _line(account, asked[account], amounts[account], again.get(account, 1.0), lengths, between.get(account))
        for account in accounts
    ]
    known = sum(line.calls - line.estimated for line in lines)
    low, high = between[None].whole
    return Estimate(len(files), tuple(lines), settings.budget, len(expected.learned_from), (known + low, known + high))


def _is_as_it_was(run: Path, settings: Settings) -> bool:
    """Whether the run is planned with the settings that it was begun with, so that what is done is not asked again."""
    own = run / "run.toml"
    free = {"resources", "budget"}
    if not own.exists():
        return False
    return as_begun(load_settings(own), run).model_dump(exclude=free) == settings.model_dump(exclude=free)


def _is_settled(question: Question, records: RunRecords) -> bool:
    """Whether its stage is done with the video: a question without a reply was refused then."""
    return question.video in records.settled[question.stage]


def _distinct(heard: Iterable[Question]) -> list[tuple[Question, Asked]]:
    """The questions with what they are long by. What is asked of two videos in the same words, without pictures, is
    asked once; what costs nothing is left out."""
    found: dict[tuple[object, ...], tuple[Question, Asked]] = {}
    free: dict[TeacherSettings, bool] = {}
    briefing = Briefing()
    for each in heard:
        if free.setdefault(each.teacher, is_free(each.teacher)):
            continue
        request = briefing.brief(each.request).request
        filled = prompts_of(each.teacher).fill(request)
        shown = tuple(frame.sha256 for _, frame in request.pictures)
        key = (each.stage, each.teacher, request.task, filled.system, filled.user, shown, request.sampling)
        letters = len(filled.system) + len(filled.user)
        asked = Asked(each.teacher, request.task, each.video, each.kept, len(shown), letters, each.tokens)
        found.setdefault(key, (each, asked))
    return list(found.values())


def _again(run: Path, settings: Settings, heard: Sequence[Question]) -> dict[Account, float]:
    """How many calls a question of a stage to a teacher took: more than one where replies could not be read, or a judge
    had to be told to answer."""
    if not (run / LEDGER_FILE).is_file():
        return {}
    spent = {(line.stage, line.teacher): line.calls for line in spend_lines(read_status(run).spend, settings)}
    kept: defaultdict[Account, int] = defaultdict(int)
    for each in heard:
        kept[each.stage, each.teacher] += each.kept
    found = {}
    for (stage, teacher), count in kept.items():
        more = spent.get((stage, canonical_name(teacher.spec)), 0) - count
        if count and _SMALL_QUESTIONS < more <= (_MOST_AGAIN - 1) * count:
            found[stage, teacher] = 1 + (more - _SMALL_QUESTIONS) / count
    return found


def _line(
    account: Account,
    asked: Sequence[Asked],
    amounts: Mapping[Kind, Amount],
    again: float,
    lengths: Lengths,
    between: Interval | None,
) -> Line:
    """`again`: the calls that a question takes."""
    stage, teacher = account
    if is_free(teacher):
        return Line(stage, teacher.spec, 0, 0, 0, 0, 0, (0, 0), (0.0, 0.0))
    missing = [each for each in asked if not each.kept]
    estimated = round(sum(amount.calls for amount in amounts.values()) * again + len(missing) * (again - 1))
    prompt = sum(lengths.prompt(each) for each in missing)
    prompt += sum(lengths.prompt_of(kind.teacher, kind.task, kind.shown, each) for kind, each in amounts.items())
    frames = sum(each.pictures for each in missing) + round(sum(amount.pictures for amount in amounts.values()))
    calls = [(each.task, 1.0) for each in missing] + [(kind.task, amount.calls) for kind, amount in amounts.items()]
    low = high = 0.0
    for task, count in calls:
        shortest, longest = _reply(stage, teacher, lengths.reply(teacher, task))
        low, high = low + count * shortest, high + count * longest
    known = len(missing)
    price = teacher.price.cost(round(prompt), round(low)), teacher.price.cost(round(prompt), round(high))
    span = between.whole if between else (0, 0)
    return Line(
        stage, teacher.spec, len(asked), len(asked) - known, estimated, frames, round(prompt),
        (round(low), round(high)), price, (known + span[0], known + span[1]),
    )  # fmt: skip


def _reply(stage: str, teacher: TeacherSettings, mean: float | None) -> tuple[float, float]:
    """The tokens of a reply, as others were; else the fewest and the most."""
    if mean is not None:
        return mean, mean
    if stage == "scores" and not teacher.sampling.reasoning:
        return 1, 1
    longest = teacher.sampling.max_tokens
    return min(_SHORTEST_REPLY, longest), longest
