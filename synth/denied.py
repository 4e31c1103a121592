"""What a negation says is absent is named first, looked for, and only then denied (NegBench, arXiv 2501.09425)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from hardcut.schemas.text.clean import clean
from hardcut.schemas.text.words import STOP_WORDS, WordIndex, words
from hardcut.synth.requests import Asker
from hardcut.teacher.prompts.reply_models import CheckReply
from hardcut.teacher.protocol import Refusal, Reply

REASON = "denies_what_is_there"


async def denied_things_found(
    asker: Asker, denies: Mapping[str, Sequence[str]], said: Iterable[str]
) -> tuple[dict[str, tuple[str, str]], dict[str, Refusal]]:
    """Of queries by their id, each with the things that it says are absent, those that cannot stay, with reason and
    detail; and who did not answer.

    What all words of a thing say that are `said` of the video is there. Of the other things one `check` of the video
    asks, all at once, whether they can be seen, read or heard. Where that gets no answer, the queries are left out.
    """
    index = WordIndex(list(said))
    things = list(dict.fromkeys(thing for each in denies.values() for thing in each))
    there = {thing: "it is told of the video" for thing in things if _is_told(thing, index)}
    unknown = [thing for thing in things if thing not in there]
    open_queries = [id for id, each in denies.items() if not there.keys() & set(each)]
    asked = [thing for thing in unknown if any(thing in denies[id] for id in open_queries)]
    left_out = {id: (REASON, _told(each, there)) for id, each in denies.items() if there.keys() & set(each)}
    if not asked:
        return left_out, {}
    claims: list[JsonValue] = [
        {
            "number": number,
            "text": f"This can be seen, read or heard: {thing}",
            "start": None,
            "end": None,
            "evidence": [],
        }
        for number, thing in enumerate(asked, 1)
    ]
    [outcome] = await asker.outcomes("check", CheckReply, [{"claims": claims}])
    if not isinstance(outcome, Reply) or not isinstance(outcome.parsed, CheckReply):
        unanswered = outcome if isinstance(outcome, Refusal) else Refusal("invalid_reply", "not a check", outcome.text)
        left_out |= dict.fromkeys(open_queries, ("not_checked", "nobody looked for what it denies"))
        return left_out, {"check of what is denied": unanswered}
    verdicts = {each.number: each.supported for each in outcome.parsed.claims}
    found = {thing: "a check finds it" for number, thing in enumerate(asked, 1) if verdicts.get(number)}
    unlooked = {thing: "a check says nothing of it" for n, thing in enumerate(asked, 1) if n not in verdicts}
    for id in open_queries:
        if found.keys() & set(denies[id]):
            left_out[id] = REASON, _told(denies[id], found)
        elif unlooked.keys() & set(denies[id]):
            left_out[id] = "not_checked", _told(denies[id], unlooked)
    return left_out, {}


def _is_told(thing: str, index: WordIndex) -> bool:
    """Whether one text about the video has every word of a thing that says something."""
    telling = [word for word in words(thing) if word not in STOP_WORDS]
    if not telling:
        return False
    texts = [set(index.find(word)) for word in telling]
    return bool(set.intersection(*texts))


def _told(things: Sequence[str], why: Mapping[str, str]) -> str:
    return "; ".join(f"{clean(thing, 80)}: {why[thing]}" for thing in things if thing in why)
