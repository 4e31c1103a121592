"""A judgment without a model: how much of what a query names was found, in which order, and whether what it excludes
was found too. A floor for models to beat, not more: it knows no synonyms and sees no pictures.

    coverage = share of the query's words (by weight) found in the evidence
               x WRONG_ORDER or UNKNOWN_ORDER where the query asks for an order that is violated or cannot be checked
               x (1 - share of the excluded words that were found)
               where colour and direction of something that moves count only for one and the same movement
               x min(1, share of the reference's words found / ALIKE) for a composed query
    margin   = SLOPE (coverage - THRESHOLD)

so that with the shipped thresholds full coverage of a mined video makes a suspected positive and a third of it a
trusted negative. What was read or seen unsurely may be there or not, a word that was read badly may be the one asked
for, and something unnamed that moves may be the thing; an order without times may hold or not. Where it hangs on these
whether the threshold is reached, and where nothing can be checked, the margin is 0: people must look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Literal

from hardcut.schemas.text.direction import axis_directions
from hardcut.schemas.text.words import COLOURS, DIRECTIONS, MOVEMENT, STOP_WORDS, WordIndex, word_weight, words
from hardcut.teacher.prompts.inputs import EvidenceLine

SLOPE = 24.0
THRESHOLD = 0.6
WRONG_ORDER = 0.4
UNKNOWN_ORDER = 0.85
UNKNOWN = THRESHOLD
ALIKE = 0.5
"""Share of what is told of a composed query's reference that a video must have: an edit leaves most as it is."""
SURE = {"ocr": 0.8, "motion": 0.5}
"""Least confidence of a line that can be relied on, by kind; a line without one can."""
_MAY_BE = 0.5
"""How alike (difflib) a word must be to one that was read badly to be perhaps the same."""

Relation = Literal["before", "after", "while"]

RELATIONS: Mapping[str, Relation] = {
    "before": "before", "until": "before", "then": "before", "followed": "before", "afterwards": "before",
    "later": "before", "after": "after", "while": "while", "during": "while",
}  # fmt: skip
_TURNED: Mapping[Relation, Relation] = {"before": "after", "after": "before", "while": "while"}
NEGATIONS = frozenset({"no", "not", "never", "without", "nobody", "nothing", "none", "neither", "nor", "cannot"})
_OPENINGS = dict.fromkeys(("first", "begins", "starts"), frozenset({"and", ","})) | {"from": frozenset({"to"})}
_AFTERWARDS = frozenset({"later", "afterwards"})
_CLAUSE_ENDS = frozenset([",", ";", ".", "but", "and"])
CUES = frozenset(
    """appear appears clip come comes footage get gets hear heard mention mentions moment only part read reads said
    same saw say saying says scene screen see seen show showing shown shows sign someone speaker speaking spoken text
    video word words written""".split()  # noqa: SIM905 - read as prose
)
"""What a query says about the searching and not about the thing searched; counted only inside quotation marks."""

_PIECES = re.compile(r'["“”„«»]([^"“”„«»]+)["“”„«»]|([^"“”„«»]+)')
_AFTER_THAT = re.compile(r"\bafter (it|that|this|which)\b", re.IGNORECASE)
_VERBS = {"ocr": "read", "speech": "said", "sound": "heard", "metadata": "told"}


@dataclass(slots=True)
class ParsedQuery:
    """A query taken apart: clauses of words, how each stands in time to the one after it (None: that is not said), and
    the words that must be absent."""

    clauses: list[list[str]] = field(default_factory=lambda: [[]])
    relations: list[Relation | None] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def follow(self, relation: Relation | None) -> None:
        """Begins the next clause; of several words of order in a row the last one counts. None: no order is asked."""
        if self.clauses[-1]:
            self.clauses.append([])
            self.relations.append(relation)
        elif self.relations:
            self.relations[-1] = relation

    def split(self, at: int) -> None:
        """Makes two clauses of the last one, the second later than the first."""
        tail = self.clauses[-1][at:]
        del self.clauses[-1][at:]
        self.follow("before")
        self.clauses[-1] = tail


@dataclass(frozen=True, slots=True)
class Assessment:
    """Margin (log-odds of yes) and one sentence that says what it rests on."""

    margin: float
    reasoning: str


def parse_query(query: str) -> ParsedQuery:
    """Splits at words of order, sets aside what is negated, keeps quoted words as content whatever they are.

    Understood are "A before B", "A then B", "A followed by B", "A until B", "B after A", "after A, B", "A while B",
    "first A, and B", "A and B later", "from A to B".
    """
    parsed = ParsedQuery()
    negated = False
    turned: Relation | None = None  # the query began with a word of order: "after A, B"
    awaited: frozenset[str] = frozenset()  # what leads to the second part of "first A and B", "from A to B"
    joint = 0  # where in the clause the last "and" stood, for "A and B later"
    for token, quoted in _tokens(query):
        clause = parsed.clauses[-1]
        if quoted:
            (parsed.absent if negated else clause).append(token)
        elif token in _OPENINGS:
            awaited = _OPENINGS[token]
        elif token in awaited and clause:
            negated, awaited, joint = False, frozenset(), 0
            parsed.follow("before")
        elif token in _AFTERWARDS and 0 < joint < len(clause):
            negated = False
            parsed.split(joint)
            joint = 0
        elif token in RELATIONS:
            negated, joint = False, 0
            if parsed.clauses == [[]]:
                turned = _TURNED[RELATIONS[token]]
            else:
                parsed.follow(RELATIONS[token])
        elif token == ":":
            negated = False
            parsed.follow(None)
        elif token in NEGATIONS or token.endswith("n't"):
            negated = True
        elif token in _CLAUSE_ENDS:
            negated = False
            if token == "and":
                joint = len(clause)
            if token == "," and turned and clause:
                parsed.follow(turned)
                turned = None
        elif token not in STOP_WORDS and token not in CUES:
            if token in DIRECTIONS:
                awaited = frozenset()  # "from left to right" leads to no second part
            (parsed.absent if negated else clause).append(token)
    return parsed


class EvidenceJudge:
    """Judges queries on one video; the evidence is indexed once."""

    def __init__(self, evidence: Sequence[EvidenceLine], caption: str | None) -> None:
        # A line of kind shot says where the picture cuts, nothing of what is in it. The caption repeats the evidence.
        self._lines: list[EvidenceLine | None] = [line for line in evidence if line.kind != "shot"]
        texts = [line.text for line in self._lines if line]
        if caption:
            self._lines.append(None)  # found, but nowhere in time
            texts.append(caption)
        self._index = WordIndex(texts)
        unsure = [line for line in evidence if (line.confidence or 1.0) < SURE.get(line.kind, 0.0)]
        self._sure = {n for n, line in enumerate(self._lines) if line not in unsure and (line or not unsure)}
        self._badly_read = {word for line in unsure if line.kind == "ocr" for word in words(line.text)}
        self._unnamed = [
            set(words(line.text)) for line in evidence if line.kind == "motion" and "something" in line.text
        ]

    def judge(self, query: str, reference: str | None = None) -> Assessment:
        """The judgment on one query; `reference` is the caption of the video that a composed query starts from."""
        parsed = parse_query(query)
        wanted = [word for clause in parsed.clauses for word in clause]
        if not self._lines:
            return _judgment(UNKNOWN, "There is no evidence that the query could be checked against")
        if not wanted and not parsed.absent:
            return _judgment(UNKNOWN, "The query names nothing that could be checked")
        found, missing = self._split(wanted)
        present, gone = self._split(parsed.absent)
        order = "violated" if self._turned(parsed.clauses) else self._order(parsed)
        least, coverage, most = self._share(parsed.clauses, parsed.absent)
        if order is not None:
            coverage *= {"kept": 1.0, "violated": WRONG_ORDER, "unknown": UNKNOWN_ORDER}[order]
            least *= 1.0 if order == "kept" else WRONG_ORDER
            most *= WRONG_ORDER if order == "violated" else 1.0
        alike = self._alike(reference) if reference else 1.0
        least, coverage, most = least * alike, coverage * alike, most * alike
        undecided = least <= THRESHOLD < most
        parts = [f"Found {self._places(found)}" if found else "Found nothing of what is asked for"]
        if missing:
            parts.append(f"did not find {_quoted(missing)}")
        if order is not None:
            parts.append(f"the order asked for is {order}")
        if alike < 1:
            parts.append("too little of what the reference shows is there")
        if present:
            parts.append(f"should be absent but is there: {self._places(present)}")
        if gone:
            parts.append(f"absent as asked for: {_quoted(gone)}")
        if undecided:
            return _judgment(UNKNOWN, "; ".join([*parts, "what was found is too unsure to tell"]))
        return _judgment(coverage, "; ".join(parts))

    def _alike(self, reference: str) -> float:
        """How far the video shows what the reference does: 1 where it has at least `ALIKE` of what is told of that."""
        wanted = [word for word in words(reference) if word not in STOP_WORDS and word not in CUES]
        shared = sum(word_weight(word) for word in wanted if self._index.find(word))
        return min(1.0, shared / (ALIKE * sum(map(word_weight, wanted)))) if wanted else 1.0

    def _share(self, clauses: Sequence[Sequence[str]], absent: Sequence[str]) -> tuple[float, float, float]:
        """Coverage by sure lines alone, by all lines, and by all that may be there, before the order is looked at."""
        everything = set(range(len(self._lines)))
        least, told, most = (
            (self._coverage(clauses, lines, guess) if any(clauses) else 1.0)
            for lines, guess in ((self._sure, False), (everything, False), (everything, True))
        )
        if not absent:
            return least, told, most
        gone = [
            1 - self._coverage([absent], lines, guess)
            for lines, guess in ((everything, True), (everything, False), (self._sure, False))
        ]
        return least * gone[0], told * gone[1], most * gone[2]

    def _coverage(self, clauses: Sequence[Sequence[str]], lines: set[int], guess: bool) -> float:
        found = sum(
            word_weight(word) * credit for clause in clauses for word, credit in self._credits(clause, lines, guess)
        )
        return found / sum(word_weight(word) for clause in clauses for word in clause)

    def _credits(self, clause: Sequence[str], among: set[int], guess: bool) -> Iterator[tuple[str, float]]:
        """How surely each word of a clause was found. What a clause says of a movement must be true of one movement.
        With `guess` what may be the word counts too."""
        moving = [word for word in clause if word in COLOURS or word in MOVEMENT]
        lines = [number for number in sorted(among) if (line := self._lines[number]) and line.kind == "motion"]
        bound = MOVEMENT.intersection(moving) and lines
        hits = {word: {n: hit for n, hit in self._index.find(word).items() if n in among} for word in clause}
        best = max(lines, key=lambda n: sum(word_weight(word) * hits[word].get(n, 0.0) for word in moving), default=0)
        directions = DIRECTIONS.intersection(moving)
        perhaps = guess and directions and any(directions <= unnamed for unnamed in self._unnamed)
        for word in clause:
            together = bound and word in moving
            credit = hits[word].get(best, 0.0) if together else max(hits[word].values(), default=0.0)
            yield word, WordIndex.FUZZY if not credit and (perhaps or (guess and self._may_be(word))) else credit

    def _may_be(self, word: str) -> bool:
        """Whether the word may be one that was read badly."""
        return any(
            SequenceMatcher(None, word, read, autojunk=False).ratio() >= _MAY_BE
            for read in self._badly_read
            if min(len(word), len(read)) >= 4
        )

    def _split(self, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
        """The words that were found, and those that were not."""
        found = [word for word in wanted if self._index.find(word)]
        return found, [word for word in wanted if not self._index.find(word)]

    def _best(self, clause: Sequence[str]) -> list[int]:
        """The numbers of the lines with a time that hold most of a clause, if one of them holds at least 40 % of what
        such lines hold of it together, and 10 % of the whole."""
        scores: dict[int, float] = {}
        weight = 0.0
        for word in clause:
            found = {
                number: credit
                for number, credit in self._index.find(word).items()
                if (line := self._lines[number]) and line.start is not None
            }
            weight += word_weight(word) if found else 0.0
            for number, credit in found.items():
                scores[number] = scores.get(number, 0.0) + word_weight(word) * credit
        highest = max(scores.values(), default=0.0)
        if not scores or highest < max(0.4 * weight, 0.1 * sum(word_weight(word) for word in clause)):
            return []
        return sorted(number for number, score in scores.items() if score >= 0.75 * highest)

    def _turned(self, clauses: Sequence[Sequence[str]]) -> bool:
        """Whether what a clause asks for surely goes the other way, and nowhere the way that is asked for."""
        for clause in clauses:
            asked = axis_directions(clause)
            rest = [word for word in clause if not axis_directions([word])]
            against = False
            for line in (self._lines[number] for number in sorted(self._sure)) if asked and rest else ():
                if line is None or line.kind != "motion":
                    continue
                found = WordIndex([line.text])
                if 2 * sum(word_weight(word) for word in rest if found.find(word)) < sum(map(word_weight, rest)):
                    continue
                way = axis_directions(words(line.text))
                if all(way.get(axis) == sign for axis, sign in asked.items()):
                    break
                against = against or any(way.get(axis) == -sign for axis, sign in asked.items())
            else:
                if against:
                    return True
        return False

    def _order(self, parsed: ParsedQuery) -> Literal["kept", "violated", "unknown"] | None:
        """Whether the clauses were found as they should follow each other; None where no order is asked for."""
        links = [
            (self._best(parsed.clauses[at]), relation, self._best(parsed.clauses[at + 1]))
            for at, relation in enumerate(parsed.relations)
            if relation and parsed.clauses[at] and parsed.clauses[at + 1]
        ]
        answers = [self._holds(*link) for link in links]
        for at, (left, relation, right) in enumerate(links):
            surely = self._holds([n for n in left if n in self._sure], relation, [n for n in right if n in self._sure])
            if surely != answers[at]:
                answers[at] = None  # it hangs on what was found badly
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
        for piece in re.split(r"([,;.:])", _AFTER_THAT.sub("afterwards", plain)):
            if piece in _CLAUSE_ENDS or piece == ":":
                yield piece, False
            else:
                yield from ((word, False) for word in words(piece))


def _quoted(found: Sequence[str]) -> str:
    return '"' + " ".join(dict.fromkeys(found)) + '"'


def _judgment(coverage: float, reasoning: str) -> Assessment:
    return Assessment(round(SLOPE * (coverage - THRESHOLD), 6), reasoning + ".")
