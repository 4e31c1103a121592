"""Checks without a model: does the evidence cover what a claim says, does a query ask for more than another.

A claim is supported if COVERED of its words, by weight, are found in the evidence that it cites (where it cites none:
in all of it) at its time, in the order that it says, and nothing is found that it denies. Statements of one sentence
that semicolons set apart are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from hardcut.schemas.text.words import words
from hardcut.teacher.prompts.inputs import CaptionInputs, CheckInputs, EvidenceLine, NumberedClaim, SameInputs
from hardcut.teacher.prompts.reply_models import (
    CheckReply,
    ClaimReply,
    CorrectionReply,
    FollowsReply,
    RefineReply,
    SameReply,
    VerdictReply,
)
from hardcut.teacher.rules.judge import SLOPE, THRESHOLD, EvidenceJudge, parse_query
from hardcut.teacher.rules.mentions import QUOTED
from hardcut.teacher.rules.writer import claims_of, write_caption

COVERED = 0.8
_TOLERANCE_S = 0.5
_INWARDS = "into"
"""A filling word elsewhere: out of something is not into it."""
_USUAL_WORDS = 120
"""A corrected short caption is that of a caption of so many words."""


def check_claims(inputs: CheckInputs) -> CheckReply:
    """A verdict on every claim."""
    return CheckReply(claims=tuple(_verdict(claim, inputs.evidence) for claim in inputs.claims))


def refine_claims(inputs: CheckInputs) -> RefineReply:
    """Each claim said again as the first line of evidence that it cites says it; the short caption written anew. A
    claim that cites nothing cannot be corrected."""
    lines = {line.id: line for line in inputs.evidence}
    corrections = []
    for claim in inputs.claims:
        cited = [lines[id] for id in claim.evidence if id in lines]
        if claim.number == 0:
            usual = CaptionInputs(video=inputs.video, evidence=inputs.evidence, max_words=_USUAL_WORDS)
            rewritten = [ClaimReply(text=write_caption(usual).short, start=None, end=None, evidence=())]
        else:
            rewritten = [said for _, said in claims_of(cited)]
        corrections += [CorrectionReply(number=claim.number, **said.model_dump()) for said in rewritten[:1]]
    return RefineReply(claims=tuple(corrections))


def compare_queries(inputs: SameInputs) -> SameReply:
    """For each pair whether the second asks for nothing beyond the first: no word, no order, nothing else denied."""
    return SameReply(pairs=tuple(_follows(pair.number, pair.first, pair.second) for pair in inputs.pairs))


def _verdict(claim: NumberedClaim, evidence: Sequence[EvidenceLine]) -> VerdictReply:
    lines = [_readable(line) for line in evidence if _at_its_time(claim, line)]
    cited = [line for line in lines if line.id in claim.evidence] if claim.evidence else lines
    judge = EvidenceJudge(cited, None)
    problems = []
    for part in _parts(claim.text):
        judgment = judge.judge(part)
        names_nothing = not any(parse_query(part).clauses)  # it says that nothing is known
        if judgment.margin / SLOPE + THRESHOLD < COVERED and (cited or not names_nothing):
            problems.append(judgment.reasoning)
    return VerdictReply(number=claim.number, problem=" ".join(problems), supported=not problems)


def _parts(text: str) -> list[str]:
    """The statements of a sentence that semicolons set apart."""
    parts = [""]
    for piece in QUOTED.split(text):
        first, *others = [piece] if piece.startswith('"') else piece.split(";")
        parts[-1] += first
        parts += others
    return [part.strip().removeprefix("then ") for part in parts if part.strip()]


def _at_its_time(claim: NumberedClaim, line: EvidenceLine) -> bool:
    if claim.start is None or claim.end is None or line.start is None or line.end is None:
        return True
    return line.start - _TOLERANCE_S <= claim.end and claim.start <= line.end + _TOLERANCE_S


def _readable(line: EvidenceLine) -> EvidenceLine:
    """A line as a claim may repeat it, however sure its extractor was; one of kind shot in the words of such a claim,
    since judgments are not made by lines of that kind."""
    line = line.model_copy(update={"confidence": None})
    if line.kind != "shot":
        return line
    texts = [said.text for _, said in claims_of([line])]
    return line.model_copy(update={"kind": "colour", "text": " ".join([line.text, *texts])})


def _follows(number: int, first: str, second: str) -> FollowsReply:
    more = sorted(_asked(second) - _asked(first))
    reason = f"the second also asks for {', '.join(' '.join(each) for each in more)}" if more else ""
    return FollowsReply(number=number, reason=reason, follows=not more)


def _asked(query: str) -> set[tuple[str, ...]]:
    """All that a query asks for: words, words denied, and each two words of which one must come before the other, also
    by way of others between them."""
    parsed = parse_query(query)
    asked: set[tuple[str, ...]] = {(word,) for clause in parsed.clauses for word in clause}
    asked |= {("no", word) for word in parsed.absent}
    asked |= {(_INWARDS,)} if _INWARDS in words(query) else set()
    for at, relation in enumerate(parsed.relations):
        left, right = parsed.clauses[at], parsed.clauses[at + 1]
        if relation == "while":
            asked |= {(min(one, other), "while", max(one, other)) for one in left for other in right}
        elif relation is not None:
            run = len(list(takewhile(relation.__eq__, parsed.relations[at:])))
            for right in parsed.clauses[at + 1 : at + 1 + run]:
                first, last = (left, right) if relation == "before" else (right, left)
                asked |= {(one, "before", other) for one in first for other in last}
    return asked
