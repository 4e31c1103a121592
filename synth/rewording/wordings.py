"""Other wordings of a video's queries: paraphrases and translations, each asked for the same videos or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from hardcut.schemas.records import Query
from hardcut.schemas.settings import QuerySettings
from hardcut.schemas.text.clean import clean, length_class
from hardcut.synth.requests import Asker, DropLog, parsed_reply
from hardcut.synth.rewording.translation import primary, signs_of_error
from hardcut.teacher.prompts.reply_models import ParaphraseReply, SameReply, TranslateReply, WordingReply
from hardcut.teacher.protocol import Refusal, Task


def rewording_tasks(options: QuerySettings) -> list[Task]:
    """What a teacher is asked for other wordings."""
    tasks: list[Task] = []
    tasks += ["paraphrase"] if options.paraphrases else []
    tasks += ["translate"] if options.languages else []
    return [*tasks, "same"] if tasks else []


@dataclass(frozen=True, slots=True)
class _Wording:
    """A wording of `query` in `language`, by `task`."""

    query: Query
    text: str
    language: str
    task: Task

    @property
    def what(self) -> str:
        return f"{self.task} of {self.query.query_id} in {self.language}: {clean(self.text, 200)!r}"

    def written_by(self, asker: Asker) -> Query:
        parent = self.query
        return Query.create(
            text=self.text,
            language=self.language,
            view=parent.view,
            kind=parent.kind,
            variant="paraphrase",
            length=length_class(self.text),
            style=parent.style if self.task == "translate" else None,
            facets=parent.facets,
            source_video_id=parent.source_video_id,
            parent_query_id=parent.query_id,
            reference_video_id=parent.reference_video_id,
            teacher=asker.answered_by(self.task),
        )


@dataclass(slots=True)
class Reworder:
    """Writes the paraphrases and translations of one video's queries.

    Each is compared by the teacher both ways: what answers the query must answer it, and the other way round. A
    paraphrase that does not is dropped as `meaning_changed`. A translation with that or any other sign of an error is
    dropped as `translation_flagged` with its text and the signs, for a person to mend (AutoArabic). `refused` are the
    questions that were not answered.
    """

    asker: Asker
    options: QuerySettings
    drops: DropLog
    refused: dict[str, Refusal] = field(default_factory=dict)

    async def reword(self, queries: Sequence[Query]) -> list[Query]:
        """What is kept, each with its query as parent."""
        wordings = [*await self._paraphrases(queries), *await self._translations(queries)]
        kept = []
        for wording, said in zip(wordings, await self._compared(wordings), strict=True):
            signs = list(said)
            if wording.task == "translate":
                signs += signs_of_error(wording.query.text, wording.query.language, wording.text, wording.language)
            if signs:
                reason = "translation_flagged" if wording.task == "translate" else "meaning_changed"
                self._drop(reason, wording, f": {'; '.join(signs)}")
            else:
                kept.append(wording.written_by(self.asker))
        return list({query.query_id: query for query in kept}.values())

    async def _paraphrases(self, queries: Sequence[Query]) -> list[_Wording]:
        options = self.options
        if not options.paraphrases or not queries:
            return []
        inputs: dict[str, JsonValue] = {
            "queries": _query_inputs(queries), "count": options.paraphrases, "max_words": options.max_words,
        }  # fmt: skip
        [outcome] = await self.asker.outcomes("paraphrase", ParaphraseReply, [inputs])
        if isinstance(outcome, Refusal):
            self.refused["paraphrases"] = outcome
            return []
        wordings = self._sift(
            "paraphrase", queries, parsed_reply(outcome, ParaphraseReply).paraphrases, options.paraphrases
        )
        kept = []
        for wording in wordings:
            if len(wording.text.split()) > options.max_words:
                self._drop("too_long", wording)
            else:
                kept.append(wording)
        return kept

    async def _translations(self, queries: Sequence[Query]) -> list[_Wording]:
        asked = {
            language: [query for query in queries if primary(query.language) != primary(language)]
            for language in self.options.languages
        }
        asked = {language: foreign for language, foreign in asked.items() if foreign}
        inputs: list[dict[str, JsonValue]] = [
            {"queries": _query_inputs(foreign), "language": language} for language, foreign in asked.items()
        ]
        wordings: list[_Wording] = []
        outcomes = await self.asker.outcomes("translate", TranslateReply, inputs)
        for (language, foreign), outcome in zip(asked.items(), outcomes, strict=True):
            if isinstance(outcome, Refusal):
                self.refused[f"translations into {language}"] = outcome
                continue
            wordings += self._sift(
                "translate", foreign, parsed_reply(outcome, TranslateReply).translations, 1, language
            )
        return wordings

    def _sift(
        self, task: Task, queries: Sequence[Query], written: Sequence[WordingReply], most: int, language: str = ""
    ) -> list[_Wording]:
        """The wordings that can be used: of a query that was shown, at most `most` of each, each said once."""
        kept: list[_Wording] = []
        said = {query.text.casefold() for query in queries}
        count: Counter[int] = Counter()
        for each in written:
            if not 1 <= each.number <= len(queries):
                self.drops.drop("unknown_query", f"{task} of query {each.number}, which was not asked for")
                continue
            query = queries[each.number - 1]
            wording = _Wording(query, clean(each.text), language or query.language, task)
            if not wording.text or wording.text.casefold() in said:
                self._drop("duplicate" if wording.text else "empty", wording)
            elif count[each.number] >= most:
                self._drop("not_asked", wording)
            else:
                said.add(wording.text.casefold())
                count[each.number] += 1
                kept.append(wording)
        for number, query in enumerate(queries, 1):
            if not count[number]:
                detail = f"{task} into {language}" if language else task
                self.drops.drop("not_written", f"{detail}: there is none that can be used", query.query_id)
        return kept

    async def _compared(self, wordings: Sequence[_Wording]) -> list[list[str]]:
        """What a comparison of each wording with its query finds, nothing where they ask for the same."""
        if not wordings:
            return []
        texts = [(wording.query.text, wording.text) for wording in wordings]
        ways: list[dict[str, JsonValue]] = [
            {"pairs": [{"number": at, "first": a, "second": b} for at, (a, b) in enumerate(texts, 1)]},
            {"pairs": [{"number": at, "first": b, "second": a} for at, (a, b) in enumerate(texts, 1)]},
        ]
        found: list[list[str]] = [[] for _ in wordings]
        outcomes = await self.asker.outcomes("same", SameReply, ways)
        for finding, outcome in zip(("asks for more", "asks for less"), outcomes, strict=True):
            if isinstance(outcome, Refusal):
                self.refused[f"comparison, {finding}"] = outcome
                reasons = dict.fromkeys(range(1, len(wordings) + 1), "was not compared")
            else:
                pairs = parsed_reply(outcome, SameReply).pairs
                reasons = {each.number: clean(each.reason, 200) for each in pairs if not each.follows}
                judged = {each.number for each in pairs}
                reasons |= {at: "was not compared" for at in range(1, len(wordings) + 1) if at not in judged}
            for at, reason in reasons.items():
                if 1 <= at <= len(wordings):
                    found[at - 1].append(f"{finding}: {reason}")
        return found

    def _drop(self, reason: str, wording: _Wording, more: str = "") -> None:
        self.drops.drop(reason, wording.what + more, wording.query.query_id)


def _query_inputs(queries: Sequence[Query]) -> list[JsonValue]:
    return [
        {"number": number, "text": query.text, "language": query.language} for number, query in enumerate(queries, 1)
    ]
