"""What a model is told of the evidence of a video: chosen and short. Records and the `evidence` teacher have it all.

A model that sees frames is not told colours and shots. Ids have three characters. Where the evidence takes more than
MOST_TOKENS, what is said without a pause is joined to passages, the same text of a kind is told once, and then the
longest texts are cut in their middle. What a model cites is turned back into the ids of all that it was told of.

A video without `looked_s`, of a run that an earlier version began, is told as that version told it: the replies were
paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_lowercase, digits
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue

from hardcut.schemas.ids import canonical_json
from hardcut.teacher.material import of_its_view
from hardcut.teacher.protocol import Outcome, Reply, Request
from hardcut.teacher.token_estimate import text_tokens

MOST_TOKENS = 8000
"""Of the evidence of one video, as an estimate. Twenty minutes of talk have about 4,600 of words."""
_SEEN = frozenset({"colour", "shot"})
"""Kinds that a model sees for itself in the frames."""
_PASSAGES_S = (15.0, 30.0, 60.0)
"""Longest passages that speech is joined to, one after the other until it is little enough."""
_PAUSE_S = 2.0
_SHORTEST_TEXT = 80
"""Characters that are left of a text at least."""
_LETTERS = digits + ascii_lowercase
_OMITTED = " […] "


Told = TypeVar("Told", bound=Outcome | None)


@dataclass(frozen=True, slots=True)
class _Told:
    """A line that a model is told, and the ids of the evidence that it stands for."""

    line: Mapping[str, Any]
    ids: tuple[str, ...]

    @property
    def text(self) -> str:
        return str(self.line["text"])

    def saying(self, text: str) -> _Told:
        return replace(self, line={**self.line, "text": text})


@dataclass(frozen=True, slots=True)
class Evidence:
    """The lines of a video as a model is told them, and by each short id what it stands for."""

    lines: list[JsonValue]
    ids: Mapping[str, tuple[str, ...]]

    def short(self, cited: Iterable[Any]) -> list[JsonValue]:
        """The short ids of what is cited, as far as it is told."""
        known = {each: name for name, ids in self.ids.items() for each in ids}
        return list(dict.fromkeys(known[each] for each in cited if each in known))

    def full(self, cited: Iterable[str]) -> tuple[str, ...]:
        """The ids that were cited by short ones. What is none of them stays as it is, for the reader to refuse."""
        return tuple(dict.fromkeys(each for name in cited for each in self.ids.get(name, (name,))))


@dataclass(frozen=True, slots=True)
class Brief:
    """A request as a model gets it."""

    request: Request
    evidence: Evidence | None = None

    def restored(self, outcome: Told) -> Told:
        """The outcome with the ids that the evidence has."""
        if self.evidence is None or not isinstance(outcome, Reply) or outcome.parsed is None:
            return outcome
        return replace(outcome, parsed=_cited(outcome.parsed, self.evidence.full))


@dataclass(slots=True)
class Briefing:
    """Makes the briefs of requests that go out together; the evidence that they share is written once."""

    _known: dict[tuple[int, bool], tuple[Any, Evidence]] = field(default_factory=dict)

    def brief(self, request: Request) -> Brief:
        """The request as a model gets it."""
        request = of_its_view(request)
        video, lines = request.inputs.get("video"), request.inputs.get("evidence")
        if not isinstance(video, Mapping) or "looked_s" not in video or not isinstance(lines, list):
            return Brief(request)
        key = id(lines), bool(request.frames)
        if key not in self._known:
            self._known[key] = lines, brief_evidence(lines, sees=bool(request.frames))  # held, so that the id stays
        evidence = self._known[key][1]
        inputs: dict[str, JsonValue] = {**request.inputs, "evidence": evidence.lines}
        claims = inputs.get("claims")
        if isinstance(claims, list):
            inputs["claims"] = [_short_claim(claim, evidence) for claim in claims]
        return Brief(replace(request, inputs=inputs), evidence)


def brief_evidence(lines: Sequence[Any], *, sees: bool, most_tokens: int = MOST_TOKENS) -> Evidence:
    """The lines (`EvidenceLine`, by time) as a model is told them. `sees`: it is shown frames."""
    told = [_Told(_short_line(line), (str(line["id"]),)) for line in lines if not (sees and line["kind"] in _SEEN)]
    for shorten in (_same_once, *(_joined(longest_s) for longest_s in _PASSAGES_S)):
        if _tokens(told) <= most_tokens:
            break
        told = shorten(told)
    told = _cut(told, most_tokens)
    names = [_name(number) for number in range(len(told))]
    return Evidence(
        [{"id": name, **each.line} for name, each in zip(names, told, strict=True)],
        {name: each.ids for name, each in zip(names, told, strict=True)},
    )


def _short_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """Without its id and what is null; times to a tenth of a second."""
    told: dict[str, Any] = {"kind": line["kind"], "text": line["text"]}
    if line.get("start") is not None:
        told |= {"start": round(line["start"], 1), "end": round(line["end"], 1)}
    if line.get("confidence") is not None:
        told["confidence"] = round(line["confidence"], 2)
    return told


def _same_once(told: Sequence[_Told]) -> list[_Told]:
    """Lines of one kind with the same text as one, from the first to the last, that says how often; not of speech."""
    groups: dict[tuple[str, str, int], list[_Told]] = {}
    for number, each in enumerate(told):
        said = number if each.line["kind"] == "speech" else 0  # what is said twice is said at two times
        groups.setdefault((each.line["kind"], each.text, said), []).append(each)
    return [
        group[0] if len(group) == 1 else _together(group, f"{group[0].text} ({len(group)} times)")
        for group in groups.values()
    ]


def _joined(longest_s: float) -> Callable[[Sequence[_Told]], list[_Told]]:
    """Joins speech without a pause to passages of at most so many seconds."""

    def join(told: Sequence[_Told]) -> list[_Told]:
        found: list[list[_Told]] = []
        last: list[_Told] | None = None
        for each in told:
            speech = each.line["kind"] == "speech" and "start" in each.line
            if speech and last and each.line["end"] - last[0].line["start"] <= longest_s and _goes_on(last[-1], each):
                last.append(each)
                continue
            found.append([each])
            last = found[-1] if speech else last
        return [group[0] if len(group) == 1 else _together(group, " ".join(each.text for each in group))
                for group in found]  # fmt: skip

    return join


def _goes_on(before: _Told, after: _Told) -> bool:
    return bool(after.line["start"] - before.line["end"] <= _PAUSE_S)


def _together(group: Sequence[_Told], text: str) -> _Told:
    """Several lines as one; the least sure of them is how sure it is."""
    line: dict[str, Any] = {"kind": group[0].line["kind"], "text": text}
    if all("start" in each.line for each in group):
        line |= {"start": group[0].line["start"], "end": max(each.line["end"] for each in group)}
    sure = [each.line["confidence"] for each in group if "confidence" in each.line]
    if sure:
        line["confidence"] = min(sure)
    return _Told(line, tuple(name for each in group for name in each.ids))


def _cut(told: Sequence[_Told], most_tokens: int) -> list[_Told]:
    """The longest texts cut in their middle until all are within the limit; then as many lines as are, spread over
    time."""
    low, high = _SHORTEST_TEXT, max((len(each.text) for each in told), default=0)
    if _tokens(told) <= most_tokens:
        return list(told)
    while low < high:  # the most characters of a text that keep to the limit
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _tokens(_clipped(told, middle)) <= most_tokens else (low, middle - 1)
    short = _clipped(told, low)
    while len(short) > 1 and (tokens := _tokens(short)) > most_tokens:
        keep = max(1, min(len(short) - 1, len(short) * most_tokens // tokens))
        short = [short[(2 * place + 1) * len(short) // (2 * keep)] for place in range(keep)]
    return short


def _clipped(told: Sequence[_Told], most: int) -> list[_Told]:
    half = (most - len(_OMITTED)) // 2
    return [
        each if len(each.text) <= most else each.saying(each.text[:half] + _OMITTED + each.text[-half:])
        for each in told
    ]


def _tokens(told: Sequence[_Told]) -> int:
    """An estimate, with a short id and a line's end each."""
    return text_tokens(*(canonical_json(dict(each.line)) + '"id": "aaa",  ' for each in told))


def _name(number: int) -> str:
    """`a00`, `a01`, ...: three characters for 33,696 lines."""
    base = len(_LETTERS)
    return f"{ascii_lowercase[number // base**2]}{_LETTERS[number // base % base]}{_LETTERS[number % base]}"


def _short_claim(claim: JsonValue, evidence: Evidence) -> JsonValue:
    if not isinstance(claim, dict) or not isinstance(claim.get("evidence"), list):
        return claim
    return {**claim, "evidence": evidence.short(claim["evidence"])}  # type: ignore[arg-type]


def _cited(parsed: BaseModel, full: Callable[[Iterable[str]], tuple[str, ...]]) -> BaseModel:
    """A reply whose claims cite the evidence's own ids."""
    claims = getattr(parsed, "claims", ())
    changed = tuple(
        claim.model_copy(update={"evidence": full(claim.evidence)}) if hasattr(claim, "evidence") else claim
        for claim in claims
    )
    return parsed.model_copy(update={"claims": changed}) if claims else parsed
