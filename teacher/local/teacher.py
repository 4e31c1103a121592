"""`transformers:MODEL` and `vllm:MODEL`: a model on this machine, in a process of its own.

What is asked is what `openai:` asks of a server: system text, frames each after its time, then the text. Scores are
exact, since all logits are at hand.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hardcut.engine.file_digests import FileDigests
from hardcut.schemas.dependencies import not_installed
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.backend import Meter, Question
from hardcut.teacher.confidence import first_token_answer, read_answer, reasoning_of
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt, prompt_of
from hardcut.teacher.local.process import Kind, Model, ModelProcess
from hardcut.teacher.model_digest import ModelFolder, model_folder
from hardcut.teacher.prompts.question import Identity, InvalidReply, Unanswered, closed_reply, prepare_questions
from hardcut.teacher.prompts.reading import read_reply
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Outcome, Refusal, Reply, Request, Task

VERSIONS: Mapping[Kind, int] = {"transformers": 4, "vllm": 4}
"""Counted up when the form of a prompt or the reading of a reply changes: part of every key. Version 4 bounds replies;
what was kept before is used. Up to version 2 of transformers, defaults of the model's folder (`repetition_penalty`,
...) shifted the margins of judges that reason: of those only other replies are used."""


class LocalTeacher:
    """A model, loaded by the first question that is not in the cache: in a process on this machine, or as `model`.

    A model on the hub is told by its name and revision, one in a folder by the content of its files: the folder's path
    is part of no key and no record.
    """

    def __init__(
        self,
        kind: Kind,
        options: ModelOptions,
        prompts: Prompts | None = None,
        digests: FileDigests | None = None,
        model: Model | None = None,
    ) -> None:
        self._kind: Kind = kind
        self._options = options
        self._prompts = prompts or Prompts()
        self._digests = digests
        self._process = model or ModelProcess(kind, options)

    @cached_property
    def _folder(self) -> ModelFolder | None:
        """What is in the model's folder; read when somebody asks who would answer."""
        folder = Path(self._options.model)
        return model_folder(folder, self._digests) if folder.is_dir() else None

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        folder = self._folder
        return TeacherRef(
            backend=self._kind,
            model=folder.name if folder else self._options.model,
            revision=f"sha256:{folder.digest}" if folder else self._options.revision,
            prompt_digest=self._prompts.digest(task),
            sampling=sampling,
        )

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        """The key covers model, rendered prompt, frames and their times, sampling and schema."""
        versions = [VERSIONS[self._kind], 3]
        if self._kind == "transformers" and not self._folder:
            versions.append(2)
        identities = [Identity(self.describe, version) for version in versions]
        questions = prepare_questions(requests, self.describe, self._prompts, identities)
        return [replace(each, former=each.former[:1]) if _reasons(each.request) else each for each in questions]

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """All questions of a video in one batch; replies that do not fit their schema once more."""
        if not questions:
            return []
        for _ in questions:
            await meter.sending()
        prompts = [prompt_of(question.request, question.prompt) for question in questions]
        results = await self._generate(prompts, meter)
        outcomes = [self._read(question, result) for question, result in zip(questions, results, strict=True)]
        again: dict[int, Prompt] = {}
        for at, outcome in enumerate(outcomes):
            if isinstance(outcome, InvalidReply):
                again[at] = replace(prompts[at], further=outcome.repair())
            elif isinstance(outcome, Unanswered):
                again[at] = replace(prompts[at], further=(("assistant", outcome.so_far()),), forced=True)
        if again:
            for _ in again:
                await meter.sending()
            for at, result in zip(again, await self._generate(list(again.values()), meter), strict=True):
                before = outcomes[at]
                outcomes[at] = self._read(questions[at], result, before if isinstance(before, Unanswered) else None)
        final = [
            outcome.refusal() if isinstance(outcome, InvalidReply | Unanswered) else outcome for outcome in outcomes
        ]
        for at, outcome in enumerate(final):
            if isinstance(outcome, Reply):
                await meter.keep(at, outcome)
        return final

    async def ping(self) -> str:
        """Looks for the package, and for the model where it is a folder; loads nothing."""
        if importlib.util.find_spec(self._kind) is None:
            raise not_installed(self._kind, self._kind)
        where = _where(self._options.model)
        return f"{self._kind} is installed; {self._options.model} ({where}) is loaded by the first question"

    async def close(self) -> None:
        """Ends the model's process."""
        await self._process.close()

    async def _generate(self, prompts: Sequence[Prompt], meter: Meter) -> list[Generated | GenerationFailed]:
        results = await self._process.generate(prompts)
        if self._folder:
            self._folder.check()  # between its digest and its loading, another one may have been put there
        if len(results) != len(prompts):  # one failure for all: the process died
            results = results * len(prompts)
        for result in results:
            meter.received(result.tokens if isinstance(result, Generated) else Tokens())
        return results

    def _read(
        self, question: Question, result: Generated | GenerationFailed, reasoned: Unanswered | None = None
    ) -> Outcome | InvalidReply | Unanswered:
        """`reasoned`: what a judge said before it was told to answer."""
        request, teacher = question.request, question.teacher
        if isinstance(result, GenerationFailed):
            return Refusal(result.reason, result.detail)
        cut = result.finish == "length"
        if request.reply is None and (reasoned or not request.sampling.reasoning):
            answer = first_token_answer(result.scores)
            if answer is None:
                return Refusal("invalid_reply", "the model gave neither yes nor no a score", result.text)
            said = f"{reasoned.text.rstrip()}\n" if reasoned else ""
            reasoning = reasoning_of(reasoned.text) if reasoned else ""
            return Reply(
                said + closed_reply(answer),
                teacher,
                answer=answer,
                reasoning=reasoning,
                tokens=result.tokens,
                shown=result.shown,
            )
        if request.reply is None:
            answer = read_answer(result.text, result.scores)
            if answer is None and result.text.strip():
                return Unanswered(result.text, "no answer within the budget" if cut else "no answer of yes or no")
            if answer is None:
                return Refusal("invalid_reply", "the reply does not end in an answer of yes or no", result.text)
            reasoning = reasoning_of(result.text)
            return Reply(
                result.text, teacher, answer=answer, reasoning=reasoning, tokens=result.tokens, shown=result.shown
            )
        read = read_reply(request.reply, result.text, cut=cut)
        if read.parsed is not None:
            return Reply(result.text, teacher, parsed=read.parsed, tokens=result.tokens, left_out=read.left_out)
        if cut:
            return Refusal("truncated", "the reply was cut off: raise teacher.sampling.max_tokens", result.text)
        return InvalidReply(result.text, read.problem)


def _reasons(request: Request) -> bool:
    """Whether it asks for a judgment with reasoning."""
    return request.reply is None and request.sampling.reasoning


def _where(model: str) -> str:
    folder = Path(model)
    if not folder.is_dir():
        return "from the hub or its cache"
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder}: holds no config.json, so it is no model")
    return "a folder"
