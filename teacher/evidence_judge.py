"""A judgment without a model: how much of what a query names was found, in which order, and whether what it excludes
was found too. A floor for models to beat, not more: it knows no synonyms and sees no pictures.

    coverage = share of the query's words (by weight) found in the evidence
               x WRONG_ORDER or UNKNOWN_ORDER where the query asks for an order that is violated or cannot be checked
               x (1 - share of the excluded words that were found)
    margin   = SLOPE (coverage - THRESHOLD)

so that with the shipped thresholds full coverage of a mined video makes a suspected positive and a third of it a
trusted negative. Where nothing can be checked, coverage is UNKNOWN: an undecided no.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hardcut.teacher.inputs import EvidenceLine
from hardcut.teacher.words import STOP_WORDS, WordIndex, weight, words

SLOPE = 24.0
THRESHOLD = 0.6
WRONG_ORDER = 0.4
UNKNOWN_ORDER = 0.85
UNKNOWN = 0.5

Relation = Literal["before", "after", "while"]

RELATIONS: Mapping[str, Relation] = {
    "before": "before", "until": "before", "then": "before", "followed": "before", "afterwards": "before",
    "later": "before", "after": "after", "while": "while", "during": "while",
}  # fmt: skip
_TURNED: Mapping[Relation, Relation] = {"before": "after", "after": "before", "while": "while"}
NEGATIONS = frozenset({"no", "not", "never", "without", "nobody", "nothing", "none", "neither", "nor", "cannot"})
_CLAUSE_ENDS = frozenset([",", ";", ".", "but", "and"])
_CUES = frozenset(
    """appear appears clip first footage hear heard moment only part read reads said saw say saying says scene screen
    see seen show showing shown shows sign someone speaker speaking spoken text video word words written""".split()  # noqa: SIM905 - read as prose
)
"""What a query says about the searching and not about the thing searched; counted only inside quotation marks."""

_PIECES = re.compile(r'["“”„«»]([^"“”„«»]+)["“”„«»]|([^"“”„«»]+)')
_VERBS = {"ocr": "read", "speech": "said", "metadata": "told"}


@dataclass(slots=True)
class Parsed:
    """A query taken apart: clauses of words, how each follows the one before, and the words that must be absent."""

    clauses: list[list[str]] = field(default_factory=lambda: [[]])
    relations: list[Relation] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judgment:
    """Margin (log-odds of yes) and one sentence that says what it rests on."""

    margin: float
    reasoning: str


def parse(query: str) -> Parsed:
    """Splits at words of order, sets aside what is negated, keeps quoted words as content whatever they are."""
    parsed = Parsed()
    negated = False
    leading: Relation | None = None
    for token, quoted in _tokens(query):
        if quoted:
            (parsed.absent if negated else parsed.clauses[-1]).append(token)
        elif token in RELATIONS:
            negated = False
            if parsed.clauses == [[]]:
                leading = RELATIONS[token]  # "after B, A": the clauses stand in the other order
            else:
                parsed.clauses.append([])
                parsed.relations.append(RELATIONS[token])
        elif token in NEGATIONS or token.endswith("n't"):
            negated = True
        elif token in _CLAUSE_ENDS:
            negated = False
            if token == "," and leading and parsed.clauses[-1]:
                parsed.clauses.append([])
                parsed.relations.append(_TURNED[leading])
                leading = None
        elif token not in STOP_WORDS and token not in _CUES:
            (parsed.absent if negated else parsed.clauses[-1]).append(token)
    return parsed


class EvidenceJudge:
    """Judges queries on one video; the evidence is indexed once."""

    def __init__(self, evidence: Sequence[EvidenceLine], caption: str | None) -> None:
        # A line of kind shot says where the picture cuts, nothing of what is in it.
        self._lines: list[EvidenceLine | None] = [line for line in evidence if line.kind != "shot"]
        texts = [line.text for line in self._lines if line]
        if caption:
            self._lines.append(None)  # found, but nowhere in time
            texts.append(caption)
        self._index = WordIndex(texts)

    def judge(self, query: str) -> Judgment:
        """The judgment on one query."""
        parsed = parse(query)
        wanted = [word for clause in parsed.clauses for word in clause]
        if not self._lines:
            return _judgment(UNKNOWN, "There is no evidence that the query could be checked against")
        if not wanted and not parsed.absent:
            return _judgment(UNKNOWN, "The query names nothing that could be checked")
        found, missing = self._split(wanted)
        present, gone = self._split(parsed.absent)
        order = self._order(parsed)
        coverage = self._coverage(wanted) if wanted else 1.0
        if parsed.absent:
            coverage *= 1 - self._coverage(parsed.absent)
        if order is not None:
            coverage *= {"kept": 1.0, "violated": WRONG_ORDER, "unknown": UNKNOWN_ORDER}[order]
        parts = [f"Found {self._places(found)}" if found else "Found nothing of what is asked for"]
        if missing:
            parts.append(f"did not find {_quoted(missing)}")
        if order is not None:
            parts.append(f"the order asked for is {order}")
        if present:
            parts.append(f"should be absent but is there: {self._places(present)}")
        if gone:
            parts.append(f"absent as asked for: {_quoted(gone)}")
        return _judgment(coverage, "; ".join(parts))

    def _coverage(self, wanted: Sequence[str]) -> float:
        total = sum(weight(word) for word in wanted)
        return sum(weight(word) * max(self._index.find(word).values(), default=0.0) for word in wanted) / total

    def _split(self, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
        """The words that were found, and those that were not."""
        found = [word for word in wanted if self._index.find(word)]
        return found, [word for word in wanted if not self._index.find(word)]

    def _best(self, clause: Sequence[str]) -> list[int]:
        """The numbers of the lines that hold most of a clause, if one of them holds at least 40 % of it."""
        scores: dict[int, float] = {}
        for word in clause:
            for number, credit in self._index.find(word).items():
                scores[number] = scores.get(number, 0.0) + weight(word) * credit
        highest = max(scores.values(), default=0.0)
        if not clause or highest < 0.4 * sum(weight(word) for word in clause):
            return []
        return sorted(number for number, score in scores.items() if score >= 0.75 * highest)

    def _order(self, parsed: Parsed) -> Literal["kept", "violated", "unknown"] | None:
        """Whether the clauses were found as they should follow each other; None where no order is asked for."""
        links = [
            (self._best(parsed.clauses[at]), relation, self._best(parsed.clauses[at + 1]))
            for at, relation in enumerate(parsed.relations)
            if parsed.clauses[at] and parsed.clauses[at + 1]
        ]
        answers = [self._holds(*link) for link in links]
        if not answers:
            return None
        if False in answers:
            return "violated"
        return "unknown" if None in answers else "kept"

    def _holds(self, left: Sequence[int], relation: Relation, right: Sequence[int]) -> bool | None:
        """Whether some line of `left` stands in the relation to some other one of `right`; None: no times to tell."""
        known = [
            (a.start, a.end, b.start, b.end)
            for a, b in ((self._lines[i], self._lines[j]) for i in left for j in right if i != j)
            if a and b and a.start is not None and a.end is not None and b.start is not None and b.end is not None
        ]
        if not known:
            return None
        if relation == "before":
            return any(a < b for a, _, b, _ in known)
        if relation == "after":
            return any(a > b for a, _, b, _ in known)
        return any(a < b_end and b < a_end for a, a_end, b, b_end in known)

    def _places(self, found: Sequence[str]) -> str:
        """The words that were found, those of one line together, each with where."""
        groups: dict[int, list[str]] = {}
        for word in dict.fromkeys(found):
            hits = self._index.find(word)
            number = next((known for known in groups if known in hits), min(hits, key=lambda hit: (-hits[hit], hit)))
            groups.setdefault(number, []).append(word)
        return ", ".join(f"{_quoted(group)} ({_place(self._lines[number])})" for number, group in groups.items())


def _place(line: EvidenceLine | None) -> str:
    if line is None:
        return "described"
    verb = _VERBS.get(line.kind, "seen")
    return verb if line.start is None or line.end is None else f"{verb} at {line.start:g}-{line.end:g} s"


def _tokens(query: str) -> Iterator[tuple[str, bool]]:
    """Normalised words and clause marks, each with whether it stood in quotation marks."""
    for quoted, plain in _PIECES.findall(query):
        if quoted:
            said = words(quoted)
            yield from ((word, True) for word in [word for word in said if word not in STOP_WORDS] or said)
            continue
        for piece in re.split(r"([,;.])", plain):
            if piece in _CLAUSE_ENDS:
                yield piece, False
            else:
                yield from ((word, False) for word in words(piece))


def _quoted(found: Sequence[str]) -> str:
    return '"' + " ".join(dict.fromkeys(found)) + '"'


def _judgment(coverage: float, reasoning: str) -> Judgment:
    return Judgment(round(SLOPE * (coverage - THRESHOLD), 6), reasoning + ".")
