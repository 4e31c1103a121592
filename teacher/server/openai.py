"""`openai:MODEL@URL`: any server that speaks chat completions, vLLM first.

A request is a system text and one message: the frames, each after its time, then the text. System text and frames are
the same bytes for all requests of one video, which go out together, so that the server can keep their common prefix.
Structured replies are asked for by a JSON Schema and checked; one that does not fit is asked for once more, with the
error. A judge's answer is read with both words' log-probabilities where the server gives those of tokens that it is
asked for (vLLM: `logprob_token_ids`), else with the 20 most likely tokens at its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from hardcut.schemas.addresses import canonical_address
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.teacher.backend import Meter, Question, Unmetered
from hardcut.teacher.needs import Need, need_of
from hardcut.teacher.prompts.question import Describe, Identity, InvalidReply, Unanswered, prepare_questions
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Outcome, Refusal, Request, Shown, Task
from hardcut.teacher.server.calls import Calls
from hardcut.teacher.server.chat_call import ChatCall, ServerTraits
from hardcut.teacher.server.completion import Models, Tokenized, Unreadable
from hardcut.teacher.server.dialect import learned
from hardcut.teacher.server.faults import AccountRefused, NoConnection, NotFound, RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource
from hardcut.teacher.server.learning import Learner, SmallQuestion
from hardcut.teacher.server.pace import Slot
from hardcut.teacher.server.profile import Profiles
from hardcut.teacher.server.request import to_json
from hardcut.teacher.server.sent_pictures import Arrived, Pictures
from hardcut.teacher.spellings import SPELLINGS, Spellings

VERSION = 5
"""Counted up when the form of a request or the reading of a reply changes: part of every key. What was kept by earlier
ones is used. Version 4 took a margin for exact where not all spellings of yes and no were seen. Up to version 3 keys
held the server's address, and replies had no bounds."""

_UNKNOWN = Spellings((), ())
_SMALL = Sampling()
_OF_FORM = frozenset({400, 404, 422, 500, 501})
"""Refusals that may be of how a request is written."""
_DOUBTFUL = frozenset({400, 405, 422})
"""Refusals that may be of whoever asks, in words that are not known here."""


class OpenAITeacher:
    """A model behind a server.

    Failures that may pass are tried again, `attempts` times in all; then the request is refused. What ends the run is
    told in `calls.Calls`; besides, a server that cannot do what a role needs: told before the first call where there
    are `profiles` to learn from, else by the first reply.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        revision: str | None = None,
        prompts: Prompts | None = None,
        key: KeySource | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.5,
        others: Sequence[str] = (),
        profiles: Profiles | None = None,
        needs: Collection[Need] = (),
        without_margin: bool = False,
        extra: str | None = None,
    ) -> None:
        """`extra` are further fields of each request, a JSON object. `others` are further addresses of the same model:
        what was kept under them is used, and where this one cannot be reached it is given up at once. `profiles` are
        what is known of endpoints: without them nothing is asked but what it is there for. `needs` are the roles that a
        run has for it. `without_margin`: labels without a margin are taken where the server gives no
        log-probabilities."""
        self._model = model
        self._revision = revision
        self._extra = extra
        self._prompts = prompts or Prompts()
        self._endpoint = Endpoint(url, concurrency=concurrency, timeout_s=timeout_s, key=key)
        self._calls = Calls(self._endpoint, attempts=attempts, backoff_s=backoff_s, patient=not others)
        written = [address.rstrip("/") for address in (url, *others)]
        former = dict.fromkeys(each for address in written for each in (canonical_address(address), address))
        self._identities = [
            Identity(self._described_at(None), VERSION),
            Identity(self._described_at(None), 4),
            *(Identity(self._described_at(address), 3) for address in former),
        ]
        self._exact: Spellings | None = None
        self._arrived = Arrived()
        self._known = ServerTraits(without_margin=without_margin)
        self._learner = Learner(model, self._endpoint.url, profiles, self._known, needs) if profiles else None
        self._asking = asyncio.Lock()
        self._first = asyncio.Lock()
        self._doubted = False
        self._described: dict[tuple[Task, Sampling], TeacherRef] = {}

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        if (task, sampling) not in self._described:
            self._described[task, sampling] = TeacherRef(
                backend="openai",
                model=self._model,
                revision=self._revision,
                endpoint=self._endpoint.url,
                prompt_digest=self._prompts.digest(task),
                sampling=sampling,
                extra=self._extra,
            )
        return self._described[task, sampling]

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        """The key covers model and revision, rendered prompt, frames and their times, sampling and schema. Where the
        model is served is no part of it."""
        return prepare_questions(requests, self.describe, self._prompts, self._identities)

    def _described_at(self, address: str | None) -> Describe:
        return lambda task, sampling: self.describe(task, sampling).model_copy(update={"endpoint": address})

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """Sends all questions at once; before it is known that the server gives log-probabilities, the first judgment
        goes alone. Where one of them ends the run, the others are still waited for and kept."""
        await self._learn({need_of(question.request) for question in questions}, meter)
        shown: list[Shown] = []
        media: list[Pictures] = []
        for question in questions:
            if question.request.shown not in shown:
                shown.append(question.request.shown)
                media.append(Pictures(question.request.pictures, self._arrived if self._known.names else None))
                await media[-1].read()
        calls = [
            ChatCall(self._model, position, question, media[shown.index(question.request.shown)], meter, self._known)
            for position, question in enumerate(questions)
        ]
        with self._calls.asking():
            found = await self._ask_first(calls)
            found |= await self._ask_all(_ahead([call for call in calls if call.position not in found]))
            found |= await self._ask_all([call for call in calls if call.position not in found])
        return [found[position] for position in range(len(questions))]

    async def bodies(self, questions: Sequence[Question]) -> list[bytes]:
        """The bodies of requests, for a batch file: one for each question. Raises as `ask`, for the two small questions
        by which it is learned what the server can do."""
        await self._learn({need_of(question.request) for question in questions}, Unmetered())
        known = self._not_streamed()
        found = []
        for position, question in enumerate(questions):
            media = Pictures(question.request.pictures)
            await media.read()
            call = ChatCall(self._model, position, question, media, Unmetered(), known)
            call.exact = await self._spellings() if call.judges else None
            found.append(call.body()[0])
        return found

    async def take_in(self, questions: Sequence[Question], answers: Sequence[bytes], meter: Meter) -> list[Outcome]:
        """Reads answers to the bodies. What cannot be used is refused: the run asks it again."""
        known, outcomes = self._not_streamed(), list[Outcome]()
        for position, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            call = ChatCall(self._model, position, question, Pictures(), meter, known)
            call.exact = await self._spellings() if call.judges else None
            call.body()
            await meter.sending()
            try:
                outcome = await call.take(answer)
            except RequestFailed as error:
                outcome = Refusal(error.reason, str(error), error.raw)
            outcomes.append(outcome.refusal() if isinstance(outcome, InvalidReply | Unanswered) else outcome)
        return outcomes

    def _not_streamed(self) -> ServerTraits:
        return replace(self._known, dialect=replace(self._known.dialect, stream=False))

    async def _learn(self, needs: Collection[Need], meter: Meter) -> None:
        """Learns what the endpoint can do, where that is not known. Raises UsageError where it is not enough."""
        if self._learner:
            await self._learner.learn(needs, self.describe("caption", _SMALL), meter, self._ask_small, self._is_vllm)

    async def _ask_small(self, call: SmallQuestion) -> None:
        """Asks one small question, in another way as long as refusals teach one. What may pass does not end a run."""

        async def work(slot: Slot) -> None:
            try:
                if call.judges:
                    call.exact = await self._spellings()
                await self._calls.send(call, slot)
            except RequestRejected as error:
                if self._asked_otherwise(call, error):
                    await work(slot)
                    return
                if error.status in _DOUBTFUL and not self._calls.heard:
                    await self._doubt(error)
                call.rejected = error
            except RequestFailed:
                pass

        with self._calls.asking():
            await self._calls.run([work])

    async def _ask_first(self, calls: Sequence[ChatCall]) -> dict[int, Outcome]:
        """All but the judgments behind the first; none where the server has shown already what it gives a judge, or is
        vLLM, of which that is known."""
        judgments = [call for call in calls if call.judges]
        if not judgments or self._known.proven:
            return {}
        async with self._first:
            if self._known.proven or await self._is_vllm():
                return {}
            return await self._ask_all([call for call in calls if call not in judgments[1:]])

    async def _ask_all(self, calls: Sequence[ChatCall]) -> dict[int, Outcome]:
        outcomes = await self._calls.run([partial(self._one, call) for call in calls])
        return {call.position: outcome for call, outcome in zip(calls, outcomes, strict=True)}

    async def _is_vllm(self) -> bool:
        try:
            return await self._spellings() is not None
        except MissingDependency:
            return False

    async def ping(self) -> str:
        """Asks the server for its models, without trying again, and for its profile where it is not known yet."""
        found = await self._find()
        if self._learner is None:
            return found
        await self._learn((), Unmetered())
        return f"{found}: {self._learner.profile}"

    async def _find(self) -> str:
        try:
            known = await self._models()
        except RequestFailed as error:
            raise MissingDependency(f"{error}: start the server or mend the address") from error
        except (RequestRejected, Unreadable):
            return f"{self._endpoint.url} answers, but does not say whether it has {self._model}"
        if self._is_missing(known):
            raise UsageError(self._not_among(known))
        return f"{self._model} at {self._endpoint.url}"

    async def close(self) -> None:
        """Closes all connections."""
        await self._endpoint.close()

    async def _models(self) -> Models:
        return Models.read(await self._endpoint.get("/models"))

    def _is_missing(self, known: Models) -> bool:
        return bool(known.data) and not known.has(self._model)

    def _not_among(self, known: Models) -> str:
        names = [model.id for model in known.data]
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        return f"{self._endpoint.url} has no model {self._model!r}; it has: {listed}"

    async def _one(self, call: ChatCall, slot: Slot) -> Outcome:
        try:
            if call.judges:
                call.exact = await self._spellings()
            outcome = await self._calls.send(call, slot)
            if isinstance(outcome, InvalidReply):
                call.further = outcome.repair()
                outcome = await self._calls.send(call, slot)
            elif isinstance(outcome, Unanswered):
                call.answer_now(outcome)
                outcome = await self._calls.send(call, slot)
        except RequestRejected as error:
            return await self._rejected(call, slot, error)
        except RequestFailed as error:
            return Refusal(error.reason, f"{error} (after several attempts)", error.raw)
        return outcome.refusal() if isinstance(outcome, InvalidReply | Unanswered) else outcome

    async def _rejected(self, call: ChatCall, slot: Slot, error: RequestRejected) -> Outcome:
        """What becomes of a request that the server refuses for good."""
        if self._asked_otherwise(call, error):
            return await self._one(call, slot)
        if call.judges and "logprob" in error.raw.lower():
            if self._known.without_margin and self._known.dialect.logprobs:
                self._known.dialect = replace(self._known.dialect, logprobs=False)
                return await self._one(call, slot)
            return call.without_logprobs(error.raw)
        if error.status in _DOUBTFUL and not self._calls.heard:
            await self._doubt(error)
        return Refusal(f"http_{error.status}", f"the server refuses the request: {error}", error.raw)

    def _asked_otherwise(self, call: ChatCall, error: RequestRejected) -> bool:
        """Whether the refusal tells how to ask instead."""
        if error.status in _OF_FORM and call.media.lost(call.sent):
            return True
        if call.judges and call.exact and "logprob" in error.raw.lower():
            self._exact = _UNKNOWN  # it knows the tokens, and not this way of asking for them
            return True
        return self._learns(call, error)

    def _learns(self, call: ChatCall, error: RequestRejected) -> bool:
        """Whether the server is to be asked in another way from now on."""
        if call.chat_request is None or error.status not in _OF_FORM:
            return False
        if call.chat_request.dialect == self._known.dialect:
            better = learned(self._known.dialect, error.raw)
            if better is None or (call.media and not better.parts):
                return False
            self._known.dialect = better
            if self._learner:
                self._learner.narrowed()
        return True

    async def _doubt(self, error: RequestRejected) -> None:
        """Before a server has answered anything, a refusal may be of whoever asks: its list of models tells, in any
        language. Raises UsageError where it does not take the key, or has no such model."""
        if self._doubted:
            return
        self._doubted = True
        try:
            known = await self._models()
        except AccountRefused as refused:
            raise self._calls.end(refused) from error
        except (NotFound, RequestRejected, RequestFailed, Unreadable):
            return
        if self._is_missing(known):
            raise self._calls.end(UsageError(f"{self._not_among(known)}; asked all the same, it said: {error}"))

    async def _spellings(self) -> Spellings | None:
        """The tokens that a judge is asked for, where the server tells them; asked for once."""
        if not self._known.by_id:
            return None
        if self._exact is None:
            async with self._asking:
                if self._exact is None:
                    self._exact = await self._ask_spellings()
        return self._exact if self._exact.ids else None

    async def _ask_spellings(self) -> Spellings:
        """Asks vLLM's `/tokenize` for every spelling."""
        found: dict[int, bytes] = {}
        for spelling in SPELLINGS:
            body = to_json({"model": self._model, "prompt": spelling, "add_special_tokens": False})
            try:
                tokens = Tokenized.read(await self._endpoint.post("/tokenize", body, root=True)).tokens
            except NoConnection as error:
                raise self._calls.unreachable(error) from error
            except (HardcutError, RequestRejected, RequestFailed, Unreadable):
                return _UNKNOWN
            if len(tokens) == 1:
                found[tokens[0]] = spelling.encode()
        return Spellings.from_tokens(found)


def _ahead(calls: Sequence[ChatCall]) -> list[ChatCall]:
    """Of calls that show the same pictures, which the server has not had yet and keeps by name, the first: so that the
    others need not send them again."""
    first = {id(call.media): call for call in reversed(calls) if call.media.to_come}
    return [call for call in first.values() if sum(each.media is call.media for each in calls) > 1]
