"""One question on its way to a server of chat completions: what goes out for it, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field

from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Tokens
from hardcut.teacher.backend import Meter, Question
from hardcut.teacher.confidence import (
    confidence,
    contradicts,
    find_answer,
    first_token_answer,
    reasoning_of,
    scored_answer,
)
from hardcut.teacher.prompts.bounds import bounds_of
from hardcut.teacher.prompts.question import ANSWER_NOW, InvalidReply, Unanswered, closed_reply
from hardcut.teacher.prompts.reading import read_reply
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply
from hardcut.teacher.server.completion import Completion, Unreadable, Unusable, billed
from hardcut.teacher.server.dialect import FIRST_GUESS, Dialect
from hardcut.teacher.server.faults import RequestFailed
from hardcut.teacher.server.request import ChatRequest, chat
from hardcut.teacher.server.sent_pictures import Pictures
from hardcut.teacher.server.stream import assembled
from hardcut.teacher.spellings import Spellings
from hardcut.teacher.token_estimate import estimated_tokens


@dataclass(slots=True)
class ServerTraits:
    """What is known of a server: how it wants to be asked, whether an answer to a judge came with log-probabilities,
    whether its model thinks before it replies, whether it gives log-probabilities by id, and whether it keeps pictures
    by name. `without_margin`: the user takes labels that have none."""

    dialect: Dialect = FIRST_GUESS
    proven: bool = False
    thinks: bool = False
    by_id: bool = True
    names: bool = False
    without_margin: bool = False


@dataclass(slots=True, eq=False)
class ChatCall:
    """A question at its `position` among those that were asked together. `further` are messages after the first, (role,
    text). `reasoned` is what a judge said who is told to answer now. `sent` are the pictures as they went out last."""

    model: str
    position: int
    question: Question
    media: Pictures
    meter: Meter
    known: ServerTraits
    exact: Spellings | None = None
    further: tuple[tuple[str, str], ...] = ()
    reasoned: Unanswered | None = None
    tokens: Tokens = field(default_factory=Tokens)
    chat_request: ChatRequest | None = None
    sent: bytes = b""

    @property
    def path(self) -> str:
        return "/chat/completions"

    @property
    def kind(self) -> str:
        return self.question.request.task

    @property
    def judges(self) -> bool:
        """Whether yes or no is asked for."""
        return self.question.request.reply is None

    def body(self) -> tuple[bytes, str]:
        request, known = self.question.request, self.known
        self.chat_request = ChatRequest(
            self.model,
            request.task,
            request.sampling,
            request.reply,
            self.exact,
            known.dialect,
            bounds_of(request),
            forced=self.reasoned is not None,
            room=request.sampling.max_tokens if known.thinks and (request.reply or self.reasoned) else 0,
            extra=self.question.teacher.extra,
        )
        self.sent = self.media.parts()
        return chat(self.chat_request, self.question.prompt, self.sent, self.further), "application/json"

    def answer_now(self, reasoned: Unanswered) -> None:
        """Has a judge, who came to no answer, asked for it and nothing else."""
        self.reasoned, self.further = reasoned, (("assistant", reasoned.so_far()),)
        if not self.exact:
            self.further += (("user", ANSWER_NOW),)

    def lost(self) -> None:
        self._book(None, "")

    async def take(self, data: bytes) -> Outcome | InvalidReply | Unanswered:
        """Reads an answer, books what it took, and keeps a valid reply.

        A reply of the model that cannot be read is refused and not asked for again: it is paid for. Raises
        RequestFailed for what is no reply of a model, and UsageError where a judge's reply shows that the server drops
        log-probabilities.
        """
        try:
            completion = Completion.read(assembled(data) if self.known.dialect.stream else data)
            self._book(completion.tokens(), completion.written)
            self.media.note()
            outcome = self._read(completion)
        except Unreadable as error:
            raw = data.decode("utf-8", "replace")
            if isinstance(error, Unusable):
                self._book(billed(data), raw)
                return Refusal("unreadable", f"the server's reply cannot be read: {error}", raw)
            self._book(None, "")
            raise RequestFailed("bad_response", f"not a chat completion: {error}", raw=raw) from error
        if isinstance(outcome, Reply):
            await self.meter.keep(self.position, outcome)
        return outcome

    def without_logprobs(self, raw: str) -> Refusal:
        """A judge's reply, or a refusal, of a server that gives no log-probabilities. Raises UsageError where it never
        gave any."""
        if self.known.proven:
            return Refusal("no_logprobs", "this reply came without log-probabilities, which a judge needs", raw)
        raise UsageError(no_margin(f"{self.model} at {self.question.teacher.endpoint}"))

    def _book(self, tokens: Tokens | None, written: str) -> None:
        if tokens is None:
            self.meter.received(estimated_tokens(self.question, self.further, written), estimated=True)
        else:
            self.meter.received(tokens)
            self.tokens = _sum(self.tokens, tokens)

    def _read(self, completion: Completion) -> Outcome | InvalidReply | Unanswered:
        request, text = self.question.request, completion.text
        if self.judges and self.chat_request and self.chat_request.prefilled:
            return self._first_token(completion)
        self.known.thinks = self.known.thinks or bool(completion.thoughts)
        if refusal := completion.declined():
            return refusal
        if request.reply is None:
            return self._judgment(completion)
        read = read_reply(request.reply, text, cut=completion.cut)
        if read.parsed is None:
            return completion.truncated() if completion.cut else InvalidReply(text, read.problem)
        return Reply(text, self.question.teacher, parsed=read.parsed, tokens=self.tokens, left_out=read.left_out)

    def _first_token(self, completion: Completion) -> Outcome:
        if not completion.generated:
            return self.without_logprobs(completion.text)
        answer = first_token_answer([completion.score(0, self.exact)])
        if answer is None:
            return Refusal("invalid_reply", "the server shows neither yes nor no", completion.text)
        self.known.proven = True
        return self._judged(closed_reply(answer), answer, "")

    def _judgment(self, completion: Completion) -> Outcome | Unanswered:
        text = completion.answered()
        place = find_answer(text, [token.data for token in completion.generated])
        if place is None:
            return self._without_answer(completion)
        answer, given = Answer(place.verdict), bool(completion.generated)
        if place.token is not None:
            answer = scored_answer(place.verdict, completion.score(place.token, self.exact))
            given = confidence(answer).logit_margin is not None or completion.scores_words(place.token)
        if not given and not self.known.without_margin:
            return self.without_logprobs(text)
        self.known.proven = True
        if contradicts(answer, self.question.request.sampling):
            return Refusal("invalid_reply", f"says {answer.verdict}, which its own log-probabilities deny", text)
        return self._judged(text, answer, completion.reasoning())

    def _without_answer(self, completion: Completion) -> Outcome | Unanswered:
        said = completion.written
        if self.reasoned:
            return self.reasoned.refusal()
        if not said.strip() or not self.question.request.sampling.reasoning:
            return Refusal("invalid_reply", "the reply does not end in an answer of yes or no", completion.text)
        cut = f"the reasoning did not end within {self.question.request.sampling.max_tokens} tokens"
        return Unanswered(said, cut if completion.cut else "the reply does not end in an answer of yes or no")

    def _judged(self, text: str, answer: Answer, reasoning: str) -> Reply:
        if self.reasoned:
            text, reasoning = self.reasoned.text.rstrip() + "\n" + text, reasoning_of(self.reasoned.text)
        return Reply(text, self.question.teacher, answer=answer, reasoning=reasoning, tokens=self.tokens)


def no_margin(who: str) -> str:
    """What is told of a judge without log-probabilities, and what to do."""
    return (
        f"judges: {who} gives no log-probabilities, so that a judge's answers would have no confidence: name another "
        "judge ([roles] judges, or [[scores.teachers]]; vLLM gives them), or accept labels without a margin by "
        "scores.without_margin = true"
    )


def _sum(a: Tokens, b: Tokens) -> Tokens:
    return Tokens(prompt=a.prompt + b.prompt, completion=a.completion + b.completion, cached=a.cached + b.cached)
