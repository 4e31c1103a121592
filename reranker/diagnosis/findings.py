"""What the scores of a model say, trial by trial: figures, exact tests, and what stands out. Pure.

A test is exact (binomial), its p-value corrected by Holm over all tests of the model, and a finding is also large
enough to matter. So of a model without a fault nothing is said. What too few trials were scored for is told as not
looked at: it is no all-clear.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Literal

from hardcut.report.statistics.agreement import share_interval
from hardcut.report.statistics.shortcuts import r2_from, r2_tells, video_word
from hardcut.report.statistics.significance import holm
from hardcut.reranker.diagnosis.trials import AS_IS, PairIds, Plan, Trial, Version
from hardcut.schemas.base import Frozen
from hardcut.schemas.trec import Run

LEVEL = 0.01
"""Of all tests of a model together."""
ABLE = 0.75
"""A model that is right less often than this, for certain, cannot tell a nuance apart; chance is one half."""
FEWEST = 20
"""Trials that were scored, for a test to be made."""
LARGE = 0.25
"""Of the usual distance between a right and a wrong pair: what a probe must move a score by, to matter."""
BY_ONE_FRAME = 0.65
"""Of queries that differ in direction, those told apart without it: beyond this something else tells them."""
STILL = 0.01
"""Of the usual distance between a right and a wrong pair: what moves less does not move."""
PRIOR = 0.3
"""R2 of the scores from the video alone, or the words alone: the strictest limit of the gate too."""
FLIPPED = 0.05
"""Of trials that an encoding turns from right to wrong, beyond those that it turns back."""
Verdict = Literal["finding", "none", "not looked"]


class Figure(Frozen):
    """One thing that was looked at. `share` of `scored` trials did what `what` says, with a 95 % interval (Wilson); for
    a prior it is an R2 and has none. `moved` is how far a probe moved the scores, in parts of the usual distance
    between a right and a wrong pair. `margins` are those of each trial, for the picture; `trials` their places in the
    plan, the most telling first."""

    name: str
    what: str
    asked: int
    scored: int
    share: float | None
    interval: tuple[float, float] | None = None
    chance: float | None = None
    moved: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    verdict: Verdict
    note: str = ""
    margins: tuple[float, ...] = ()
    trials: tuple[int, ...] = ()


class Diagnosis(Frozen):
    """Of one model or run: how many of the pairs it scored, and the figures."""

    name: str
    splits: tuple[str, ...]
    asked: int
    scored: int
    distance: float | None
    figures: tuple[Figure, ...]

    @property
    def findings(self) -> tuple[Figure, ...]:
        """What stands out."""
        return tuple(each for each in self.figures if each.verdict == "finding")


@dataclass(frozen=True, slots=True)
class _Looked:
    """A figure before the correction, and whether what was found is large enough to matter."""

    figure: Figure
    large: bool


def diagnose(name: str, plan: Plan, run: Run) -> Diagnosis:
    """What a run over the plan's pairs says."""
    pairs = [(query, video) for made in (False, True) for query, of in plan.pairs(made).items() for video in of]
    distance = _distance(plan, run)
    looked = [
        *_nuances(plan, run),
        *_orders(plan, run, distance),
        _encoding(plan, run),
        _promotion(plan, run, distance),
        _text(plan, run, distance),
    ]
    tested = [each for each in looked if each.figure.p_value is not None]
    corrected = iter(holm([each.figure.p_value or 0.0 for each in tested]))
    figures = []
    for each in looked:
        figure = each.figure
        if figure.p_value is not None:
            p_holm = next(corrected)
            verdict: Verdict = "finding" if each.large and p_holm < LEVEL else "none"
            figure = figure.model_copy(update={"p_holm": p_holm, "verdict": verdict})
        figures.append(figure)
    return Diagnosis(
        name=name,
        splits=plan.splits,
        asked=len(pairs),
        scored=sum(video in run.get(query, {}) for query, video in pairs),
        distance=distance,
        figures=(*figures, *_priors(plan, run), _leak(plan)),
    )


def margin(run: Run, version: Version) -> float | None:
    """How much higher the first pair scores; None where one of the two has no score."""
    right, wrong = (_score(run, pair) for pair in (version.right, version.wrong))
    return None if right is None or wrong is None else right - wrong


def _score(run: Run, pair: PairIds) -> float | None:
    return run.get(pair.query, {}).get(pair.video)


def _distance(plan: Plan, run: Run) -> float | None:
    """The usual distance between a right and a wrong pair, as the model sees it: the median over probes of videos as
    they are, of those that it gets right."""
    found = [
        value
        for trial in plan.trials
        if trial.probe in ("promotion", "encoding") and (value := margin(run, trial.versions["plain"])) is not None
    ]
    return median([value for value in found if value > 0]) if any(value > 0 for value in found) else None


def _of(plan: Plan, probe: str) -> list[tuple[int, Trial]]:
    return [(place, trial) for place, trial in enumerate(plan.trials) if trial.probe == probe]


def _nuances(plan: Plan, run: Run) -> list[_Looked]:
    by_name: defaultdict[str, list[tuple[int, Trial]]] = defaultdict(list)
    for place, trial in _of(plan, "nuance"):
        by_name[trial.name].append((place, trial))
    return [
        _shares(
            f"nuance: {name}", "the right pair of two scores higher", trials,
            lambda trial: margin(run, trial.versions[AS_IS]), p_of=lambda k, n: _at_most(k, n, ABLE),
            large=lambda share: share < ABLE,
        )
        for name, trials in sorted(by_name.items())
    ]  # fmt: skip


def _orders(plan: Plan, run: Run, distance: float | None) -> list[_Looked]:
    trials = _of(plan, "order")

    def turned(trial: Trial) -> float | None:
        plain, back = (margin(run, trial.versions[how]) for how in ("plain", "reversed"))
        if plain is None or back is None:
            return None
        moved = plain - back
        return moved if abs(moved) > STILL * (distance or 0.0) else 0.0  # what rounding moves is no movement

    follows = _shares(
        "order of frames", "played backwards, the margin moves towards the other direction", trials, turned,
        p_of=lambda k, n: _at_most(k, n, ABLE), large=lambda share: share < ABLE,
    )  # fmt: skip

    def of(how: str) -> Callable[[Trial], float | None]:
        return lambda trial: margin(run, trial.versions[how])

    static = [
        _shares(
            f"direction without order: {how}", "the right direction scores higher where none can be seen", trials,
            of(how), p_of=lambda k, n: _at_least(k, n, 0.5), large=lambda share: share > BY_ONE_FRAME,
        )
        for how in ("one-frame", "shuffled")
    ]  # fmt: skip
    return [follows, *static]


def _encoding(plan: Plan, run: Run) -> _Looked:
    """Written again with less quality: of the trials whose answer changes, how many change from right to wrong."""
    trials, scored, lost, back = _of(plan, "encoding"), 0, [], 0
    for place, trial in trials:
        plain, again = (margin(run, trial.versions[how]) for how in ("plain", "again"))
        if plain is None or again is None:
            continue
        scored += 1
        if plain > 0 >= again:
            lost.append((plain - again, place))
        back += again > 0 >= plain
    name, what = "another encoding", "right before, wrong once written again with less quality"
    if scored < FEWEST:
        return _too_few(name, what, len(trials), scored)
    share = len(lost) / scored
    figure = Figure(
        name=name, what=what, asked=len(trials), scored=scored, share=share, chance=back / scored,
        interval=share_interval(len(lost), scored), p_value=_at_least(len(lost), len(lost) + back, 0.5),
        verdict="none", margins=tuple(-value for value, _ in sorted(lost, reverse=True)),
        trials=tuple(place for _, place in sorted(lost, reverse=True)),
    )  # fmt: skip
    return _Looked(figure, share - back / scored > FLIPPED)


def _promotion(plan: Plan, run: Run, distance: float | None) -> _Looked:
    def risen(trial: Trial) -> float | None:
        own, other = (margin(run, trial.versions[name]) for name in ("own words", "other words"))
        return None if own is None or other is None else other - own  # the wrong pair is the second of a margin

    return _moves(
        "promotion", "a wrong video scores higher with the query's words burnt in than with another query's",
        _of(plan, "promotion"), risen, distance,
    )  # fmt: skip


def _text(plan: Plan, run: Run, distance: float | None) -> _Looked:
    def fallen(trial: Trial) -> float | None:
        plain, without = (margin(run, trial.versions[how]) for how in ("plain", "muted"))
        return None if plain is None or without is None else plain - without

    return _moves(
        "text in the picture", "a query that asks for nothing written loses, where what is written is blurred",
        _of(plan, "text"), fallen, distance,
    )  # fmt: skip


def _moves(
    name: str,
    what: str,
    trials: Sequence[tuple[int, Trial]],
    value: Callable[[Trial], float | None],
    distance: float | None,
) -> _Looked:
    """A sign test of what a probe moves, where it moves as much as matters."""
    found = _values(trials, value)
    moved = median(each for each, _ in found) / distance if found and distance else None
    looked = _shares(
        name, what, trials, value, p_of=lambda k, n: _at_least(k, n, 0.5), large=lambda _: (moved or 0.0) > LARGE
    )
    return _Looked(looked.figure.model_copy(update={"moved": moved}), looked.large)


def _shares(
    name: str,
    what: str,
    trials: Sequence[tuple[int, Trial]],
    value: Callable[[Trial], float | None],
    p_of: Callable[[int, int], float],
    large: Callable[[float], bool],
) -> _Looked:
    """How many of the trials have a value above 0. A tie is none."""
    found = _values(trials, value)
    if len(found) < FEWEST:
        return _too_few(name, what, len(trials), len(found))
    above = sum(each > 0 for each, _ in found)
    share, p_value = above / len(found), p_of(above, len(found))
    lowest_first = p_of(0, len(found)) <= p_of(len(found), len(found))  # what tells most is what speaks for the fault
    order = sorted(found, reverse=not lowest_first)
    figure = Figure(
        name=name, what=what, asked=len(trials), scored=len(found), share=share, chance=0.5,
        interval=share_interval(above, len(found)), p_value=p_value, verdict="none",
        margins=tuple(each for each, _ in order), trials=tuple(place for _, place in order),
    )  # fmt: skip
    return _Looked(figure, large(share))


def _values(trials: Sequence[tuple[int, Trial]], value: Callable[[Trial], float | None]) -> list[tuple[float, int]]:
    return [(found, place) for place, trial in trials if (found := value(trial)) is not None]


def _too_few(name: str, what: str, asked: int, scored: int) -> _Looked:
    note = f"{scored} trials were scored, {FEWEST} are needed"
    figure = Figure(name=name, what=what, asked=asked, scored=scored, share=None, verdict="not looked", note=note)
    return _Looked(figure, False)


def _priors(plan: Plan, run: Run) -> list[Figure]:
    """R2 of the scores of videos under queries of others, from which video it is and from the query's words."""
    rows = [(pair, score) for pair in plan.crossed if (score := _score(run, pair)) is not None]
    values = [score for _, score in rows]
    told = {
        "the video's prior": [video_word(pair.video) for pair, _ in rows],
        "the words' prior": [plan.queries[pair.query] for pair, _ in rows],
    }
    parts = {"the video's prior": None, "the words' prior": [pair.query for pair, _ in rows]}
    found = []
    for name, words in told.items():
        what = "R2 of the scores of videos for queries of others, from " + ("the video" if "video" in name else "words")
        about: Mapping[str, object] = {"name": name, "what": what, "asked": len(plan.crossed), "scored": len(rows)}
        if not r2_tells(len(rows)) or len(set(values)) < 2 or len({pair.query for pair, _ in rows}) < FEWEST:
            note = "too few pairs were scored, or all alike"
            found.append(Figure.model_validate({**about, "share": None, "verdict": "not looked", "note": note}))
            continue
        r2 = r2_from(words, values, parts[name])
        verdict = "finding" if r2 > PRIOR else "none"
        margins = tuple(_means(rows)) if "video" in name else ()
        found.append(
            Figure.model_validate({**about, "share": r2, "chance": 0.0, "verdict": verdict, "margins": margins})
        )
    return found


def _means(rows: Sequence[tuple[PairIds, float]]) -> list[float]:
    """The mean score of each video, against the mean of all."""
    by_video: defaultdict[str, list[float]] = defaultdict(list)
    for pair, score in rows:
        by_video[pair.video].append(score)
    whole = sum(score for _, score in rows) / len(rows)
    return sorted(sum(of) / len(of) - whole for of in by_video.values())


def _leak(plan: Plan) -> Figure:
    what = "queries of these splits whose text was trained on"
    if not plan.tested:
        return Figure(name="leak", what=what, asked=0, scored=0, share=None, verdict="not looked", note="no query")
    some = ", ".join(plan.leaked[:5]) + (", ..." if len(plan.leaked) > 5 else "")
    return Figure(
        name="leak",
        what=what,
        asked=plan.tested,
        scored=plan.tested,
        share=len(plan.leaked) / plan.tested,
        chance=0.0,
        verdict="finding" if plan.leaked else "none",
        note=some,
    )


def _at_most(successes: int, of: int, share: float) -> float:
    """The probability of so few successes or fewer."""
    return sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(successes + 1))


def _at_least(successes: int, of: int, share: float) -> float:
    """The probability of so many successes or more."""
    return sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(successes, of + 1))
