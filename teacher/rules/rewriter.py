"""Queries without a model out of queries: paraphrases, edits of a twin, and counterfactuals, true as far as the
evidence is. What stands in quotation marks is never touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from hardcut.schemas.ids import digest
from hardcut.schemas.records import Modality
from hardcut.schemas.text.words import COLOURS, WordIndex, words
from hardcut.teacher.prompts.inputs import ComposeInputs, CounterfactualInputs, FacetLine, ParaphraseInputs
from hardcut.teacher.prompts.reply_models import (
    ChangedReply,
    ComposeReply,
    CounterfactualReply,
    FacetReply,
    ParaphraseReply,
    WordingReply,
    WrittenVariant,
)
from hardcut.teacher.rules.antonyms import masked, turned_in_time
from hardcut.teacher.rules.judge import EvidenceJudge
from hardcut.teacher.rules.mentions import (
    EXPECTED,
    QUOTED,
    Mention,
    can_be_asked,
    is_telling,
    keywords,
    mention_of,
    shuffled,
)
from hardcut.teacher.rules.writer import QUESTION

_Changed = tuple[str, tuple[FacetReply, ...]]
_ORDER = re.compile(r" (before|and then|after|while) ")
_TURNED = {
    "left to right": "right to left", "right to left": "left to right", "upwards": "downwards",
    "downwards": "upwards", "larger": "smaller", "smaller": "larger", "opens": "closes", "closes": "opens",
    "opening": "closing", "closing": "opening",
}  # fmt: skip
_DIRECTION = re.compile(r"\b(" + "|".join(_TURNED) + r")\b")
_SYNONYMS = (
    ("clip where", "a scene in which"), ("video about", "footage of"), ("the moment when", "the part where"),
    ("what clip is it where", "which is the video in which"), ("when is it that", "at what moment is it that"),
    ("but nobody says", "and nobody says"), ("but the screen never shows", "and the screen never shows"),
)  # fmt: skip
"""Each said for the other, both ways."""
_CLAUSES = (
    (re.compile(r'\bthe text ("[^"]*") appears\b'), r"\1 is written on screen"),
    (re.compile(r'\ba sign reads ("[^"]*")'), r"the text \1 appears"),
    (re.compile(r'("[^"]*") is written on screen\b'), r"a sign reads \1"),
    (re.compile(r'\bsomeone says ("[^"]*")'), r"\1 is said"),
    (re.compile(r'("[^"]*") is said\b'), r"a speaker says \1"),
    (re.compile(r'\ba speaker says ("[^"]*")'), r"someone says \1"),
)
"""Ways of saying that something is read or heard (`mentions.Mention.clause`), each with another one."""
_SCENE = "a scene in which"
_SURELY_THERE: Mapping[str, float] = {"ocr": 0.9, "motion": 0.6}
"""Least confidence of what is denied as being there, by kind: what was misread is not there."""
_EDGE = re.compile(r" as it (?:enters|leaves)\b")
_DENIED: Mapping[Modality, str] = {"ocr": 'the screen never shows "{}"', "speech": 'nobody says "{}"'}
_OTHERS: Mapping[Modality, tuple[str, ...]] = {
    **EXPECTED,
    "metadata": ("a wedding", "a boxing match", "dental surgery", "a chess tournament", "a ski race"),
    "visual": ("a horse", "a fire engine", "a snowman", "a piano", "an elephant"),
}
"""What takes the place of a facet, where no evidence has it."""


def paraphrase(inputs: ParaphraseInputs) -> ParaphraseReply:
    """Other words for the same, by templates, those first that share least with the query; what no template fits is
    said to be looked for in a scene."""
    written = []
    for query in inputs.queries:
        once = list(_reworded(query.text))
        texts = [*once, *(text for each in once for text in _reworded(each))] or [f"{_SCENE} {query.text}"]
        known = set(words(query.text))
        texts = [text for text in texts if text != query.text and len(text.split()) <= inputs.max_words]
        found = dict.fromkeys(sorted(texts, key=lambda text: _likeness(known, text)))
        written += [WordingReply(number=query.number, text=text) for text in list(found)[: inputs.count]]
    return ParaphraseReply(paraphrases=tuple(written))


def _likeness(known: set[str], text: str) -> float:
    """The share of words that a text has in common with these (Jaccard)."""
    said = set(words(text))
    return len(known & said) / len(known | said) if known | said else 1.0


def compose(inputs: ComposeInputs) -> ComposeReply:
    """The edit: what is told of this video and not of the reference, one after another where the order differs."""
    statements = [part for each in inputs.differences if each.here for part in each.here.split(", then ")]
    found = dict(_mention(part, inputs) for part in statements)
    mentions = [mention for mention, striking in found.items() if striking] or list(found)
    order = ", and "
    if inputs.relation == "chiral":
        order = " and then "
        mentions.sort(key=lambda mention: mention.start or 0.0)
    text = "the same"
    facets: list[FacetReply] = []
    for mention in mentions:
        clause = mention.clause(digest(inputs.reference, mention.phrase))
        longer = f"{text}, but {clause}" if not facets else f"{text}{order}{clause}"
        if facets and len(longer.split()) > inputs.max_words:
            break
        text, facets = longer, [*facets, mention.facet()]
    gone = [each.there for each in inputs.differences if each.there and not each.here]
    if gone and not facets:
        text = f"{text}, but never {gone[0][0].lower()}{gone[0][1:]}"
    return ComposeReply(text=text, language="en", facets=tuple(facets))


def _mention(statement: str, inputs: ComposeInputs) -> tuple[Mention, bool]:
    """What a difference tells of, a line of evidence or a claim with the evidence that it cites, and whether it is
    striking enough to be asked for."""
    lines = {line.id: line for line in inputs.evidence}
    same = [line for line in inputs.evidence if line.text == statement]
    claim = next((claim for claim in inputs.claims if claim.text == statement), None)
    cited = [lines[id] for id in claim.evidence if id in lines] if claim else []
    line = next((line for line in (*same, *cited) if line.kind != "shot"), None)
    if line:
        return mention_of(line), can_be_asked(line, inputs.video.duration_s)
    start, end = (claim.start, claim.end) if claim else (None, None)
    return Mention(statement, "visual", start, end), claim is not None and not cited


def write_counterfactuals(inputs: CounterfactualInputs) -> CounterfactualReply:
    """For each variant the first query, of those that can be made, which the evidence denies; none where there is
    none. Of a query in keywords it is in keywords too, so that its style does not tell it from the query."""
    judge = EvidenceJudge(inputs.evidence, inputs.caption)
    rejected = {each.text for each in inputs.rejected}
    styled = keywords if keywords(inputs.query) == inputs.query else str
    written: dict[WrittenVariant, ChangedReply] = {}
    for variant in (each for each in _WAYS if each in inputs.variants):
        for text, facets in _WAYS[variant](inputs):
            text = styled(text)
            fits = text not in rejected and len(text.split()) <= inputs.max_words
            if fits and all(judge.judge(each).margin < 0 for each in _with_any_edge(text)):
                written[variant] = ChangedReply(variant=variant, text=text, facets=facets)
                break
    if "negated_absent" in inputs.variants:
        stands = next((each.text for each in inputs.written if each.variant == "negated"), None)
        denial = stands or (written["negated"].text if "negated" in written else "")
        for text, facets in _otherwise_denied(denial, inputs):
            text = styled(text)
            fits = text not in rejected and len(text.split()) <= inputs.max_words
            if fits and all(judge.judge(each).margin > 0 for each in _with_any_edge(text)):
                written["negated_absent"] = ChangedReply(variant="negated_absent", text=text, facets=facets)
                break
    return CounterfactualReply(queries=tuple(written.values()))


def _with_any_edge(text: str) -> tuple[str, str]:
    """A text, and what it says of a movement without where in the picture that was seen. A thing that leaves may have
    entered too, and of two alike one may: neither is denied by a line that tells of the other."""
    return text, _EDGE.sub("", text)


def _reversed(inputs: CounterfactualInputs) -> Iterator[_Changed]:
    """The parts of the query in the other order, or the direction turned round."""
    opening, text, end = _bare(inputs.query)
    facets = tuple(_facet(facet) for facet in inputs.facets)
    parts = _split(text, ("before", "and then", "after"))
    if parts:
        first, order, second = parts
        yield f"{opening}{second} {order} {first}{end}", facets[::-1]
    turned = "".join(part if part.startswith('"') else _turn(part) for part in _parts(inputs.query))
    if turned != inputs.query:
        yield turned, tuple(facet.model_copy(update={"text": _turn(facet.text)}) for facet in facets)
    for turned in turned_in_time(inputs.query):
        yield turned, tuple(facet.model_copy(update={"text": _as_turned(facet.text, turned)}) for facet in facets)


def _negated(inputs: CounterfactualInputs) -> Iterator[_Changed]:
    """One half of the query with the other one denied; the query with something denied that is there; its facet
    denied."""
    opening, text, end = _bare(inputs.query)
    facets = tuple(_facet(facet) for facet in inputs.facets)
    parts = _split(text, ("before", "and then", "after", "while"))
    if parts:
        for half in (parts[0], parts[2]):
            said = [facet for facet in facets if _facet_phrase(facet, half)]
            other = [facet for facet in facets if facet not in said]
            if said and other:
                yield f"{opening}{half} but {_denied(other[0])}{end}", facets
    there = [
        mention_of(line)
        for line in inputs.evidence
        if can_be_asked(line, inputs.video.duration_s) and (line.confidence or 1.0) >= _SURELY_THERE.get(line.kind, 0.0)
    ]
    affirmed = text[: len(masked(text).split(" but ")[0])]  # a denial takes the place of another one
    deniable = [each for each in there if is_telling(each) and not _is_in_query(each, inputs)]
    for mention in shuffled(deniable, digest(inputs.query)):
        yield f"{opening}{affirmed} but {_denied(mention.facet())}{end}", (*facets, mention.facet())


def _otherwise_denied(denial: str, inputs: CounterfactualInputs) -> Iterator[_Changed]:
    """A query that denies what is there, with something of the same kind denied that other videos have: what shares
    most words comes first."""
    facets = tuple(_facet(facet) for facet in inputs.facets)
    for modality in dict.fromkeys(line.modality for line in inputs.elsewhere):
        template = _DENIED.get(modality, "never {}")
        if template.partition("{}")[0] not in denial:
            template = keywords(template)
        opening, closing = template.split("{}")
        before, denies, rest = denial.partition(f" but {opening}")
        if not denies or (not closing and '"' in rest):
            continue
        denied, end = (rest.rpartition(closing)[0], rest.rpartition(closing)[2]) if closing else _bare_end(rest)
        said = [facet for facet in facets if _facet_phrase(facet, before)]
        known = set(words(denied))
        for other in sorted(inputs.elsewhere, key=lambda line: _unlike(known, denied, line.text)):
            if other.modality == modality:
                yield f"{before} but {opening}{other.text}{closing}{end}", tuple(said or facets)


def _unlike(known: set[str], text: str, other: str) -> tuple[int, int]:
    """How far another phrase is from one of these words: in words, then in length."""
    return -len(known.intersection(words(other))), abs(len(other) - len(text))


def _bare_end(text: str) -> tuple[str, str]:
    return (text[:-1], "?") if text.endswith("?") else (text, "")


def _facet_changed(inputs: CounterfactualInputs) -> Iterator[_Changed]:
    """One facet exchanged for another of its kind that other videos have; where they have none, the longest first,
    for something that no evidence has."""
    index = WordIndex([line.text for line in inputs.evidence] + [inputs.caption])
    facets = tuple(_facet(facet) for facet in inputs.facets)
    for facet in facets:
        said = _facet_phrase(facet, inputs.query)
        if said is None:
            continue
        others = [line.text for line in inputs.elsewhere if line.modality == facet.modality]
        known = set(words(facet.text))
        for other in sorted(others, key=lambda text: _unlike(known, facet.text, text)):
            changed = tuple(each.model_copy(update={"text": other}) if each == facet else each for each in facets)
            yield inputs.query.replace(said, other if said == facet.text else keywords(other)), changed
    for facet in sorted(facets, key=lambda facet: -len(facet.text)):
        said = _facet_phrase(facet, inputs.query)
        if said is None:
            continue
        for other in _exchanged(facet, index, digest(inputs.query)):
            rest = (each.model_copy(update={"text": other}) if each == facet else each for each in facets)
            instead = other if said == facet.text else keywords(other)
            yield inputs.query.replace(said, instead), tuple(rest)


_WAYS: Mapping[WrittenVariant, Callable[[CounterfactualInputs], Iterator[_Changed]]] = {
    "reversed": _reversed, "negated": _negated, "facet_changed": _facet_changed,
}  # fmt: skip


def _reworded(text: str) -> Iterator[str]:
    opening, bare, end = _bare(text)
    parts = _split(bare, ("before", "and then", "after", "while"))
    if parts:
        first, order, second = parts
        turned = {"before": "after", "and then": "after", "after": "before", "while": "while"}[order]
        yield f"{opening}{second} {turned} {first}{end}"
        if order == "and then":
            yield f"{opening}{first} before {second}{end}"
    for pattern, instead in _CLAUSES:
        if pattern.search(text):
            yield pattern.sub(instead, text)
    for one, other in _SYNONYMS:
        for said, instead in ((one, other), (other, one)):
            if text.startswith(f"{said} ") or f" {said} " in QUOTED.sub(" ", text):
                yield "".join(part if part.startswith('"') else part.replace(said, instead) for part in _parts(text))


def _exchanged(facet: FacetReply, index: WordIndex, seed: str) -> Iterator[str]:
    """Phrases in the place of a facet's, none of whose telling words the evidence has."""
    colour = next((word for word in words(facet.text) if word in COLOURS), None)
    if colour:
        for other in shuffled(sorted(word for word in COLOURS if not index.find(word)), seed):
            changed = re.sub(rf"\ban? {colour}\b", f"{'an' if other[0] in 'aeiou' else 'a'} {other}", facet.text)
            changed = re.sub(rf"\b{colour}\b", other, changed)
            yield changed
            yield _turn(changed)
    for other in shuffled(_OTHERS.get(facet.modality, _OTHERS["visual"]), seed):
        if not any(index.find(word) for word in words(other) if len(word) > 2):
            yield other


def _denied(facet: FacetReply) -> str:
    return _DENIED.get(facet.modality, "never {}").format(facet.text)


def _is_in_query(mention: Mention, inputs: CounterfactualInputs) -> bool:
    """Whether the query or one of its facets shares a word with the mention."""
    said = {word for text in (inputs.query, *(facet.text for facet in inputs.facets)) for word in words(text)}
    return bool(said.intersection(words(mention.phrase)))


def _facet_phrase(facet: FacetReply, text: str) -> str | None:
    """How the text says the facet: in its words, or in the keywords of them."""
    return next((form for form in (facet.text, keywords(facet.text)) if form in text), None)


def _facet(facet: FacetLine) -> FacetReply:
    return FacetReply.model_validate(facet.model_dump())


def _bare(text: str) -> tuple[str, str, str]:
    """What a question opens with, its content, and its mark; a query that is none as it is."""
    if text.startswith(f"{QUESTION} ") and text.endswith("?"):
        return f"{QUESTION} ", text.removeprefix(f"{QUESTION} ").removesuffix("?"), "?"
    return ("", *_bare_end(text))


def _split(text: str, relations: Sequence[str]) -> tuple[str, str, str] | None:
    """First part, relation and second part of a text with just one of the relations, outside quotation marks."""
    found = list(_ORDER.finditer(masked(text)))
    if len(found) != 1 or found[0][1] not in relations:
        return None
    return text[: found[0].start()], found[0][1], text[found[0].end() :]


def _parts(text: str) -> list[str]:
    """The text cut before and after quotations."""
    return QUOTED.split(text)


def _as_turned(facet: str, turned: str) -> str:
    """What a facet says in a query that was turned round: itself, where the query still says so."""
    return next((each for each in turned_in_time(facet) if each in turned), facet)


def _turn(text: str) -> str:
    return _DIRECTION.sub(lambda match: _TURNED[match[1]], text)
