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
from hardcut.teacher.backend import Meter, Question, Unmetered
from hardcut.teacher.confidence import first_token_answer, read_answer, reasoning_of
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt, prompt_of
from hardcut.teacher.local.process import Kind, ModelProcess
from hardcut.teacher.model_digest import ModelFolder, model_folder
from hardcut.teacher.prompts.question import InvalidReply, closed_reply, parse_reply, prepare_questions
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Outcome, Refusal, Reply, Request, Task

VERSIONS: Mapping[Kind, int] = {"transformers": 3, "vllm": 3}
"""Counted up when the form of a prompt or the reading of a reply changes: part of every key. Up to version 2 of
transformers, defaults of the model's folder (`repetition_penalty`, ...) shifted the margins of judges that reason."""


class LocalTeacher:
    """A model, loaded by the first question that is not in the cache.

    A model on the hub is told by its name and revision, one in a folder by the content of its files: the folder's path
    is part of no key and no record.
    """

    def __init__(
        self,
        kind: Kind,
        options: ModelOptions,
        prompts: Prompts | None = None,
        digests: FileDigests | None = None,
    ) -> None:
        self._kind: Kind = kind
        self._options = options
        self._prompts = prompts or Prompts()
        self._digests = digests
        self._process = ModelProcess(kind, options)

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
        questions = prepare_questions(requests, self.describe, self._prompts, VERSIONS[self._kind])
        if self._kind == "vllm" or self._folder:
            return questions
        former = prepare_questions(requests, self.describe, self._prompts, 2)
        return [
            question if question.request.reply is None and question.request.sampling.reasoning
            else replace(question, former=(before.key,))
            for question, before in zip(questions, former, strict=True)
        ]  # fmt: skip

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answers without a cache and without a budget."""
        return await self.ask(self.prepare(requests), Unmetered())

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """All questions of a video in one batch; replies that do not fit their schema once more."""
        if not questions:
            return []
        for _ in questions:
            await meter.sending()
        prompts = [prompt_of(question.request, question.prompt) for question in questions]
        results = await self._generate(prompts, meter)
        outcomes = [self._read(question, result) for question, result in zip(questions, results, strict=True)]
        broken = {at: outcome for at, outcome in enumerate(outcomes) if isinstance(outcome, InvalidReply)}
        if broken:
            for _ in broken:
                await meter.sending()
            again = await self._generate(
                [replace(prompts[at], further=invalid.repair()) for at, invalid in broken.items()], meter
            )
            for at, result in zip(broken, again, strict=True):
                outcomes[at] = self._read(questions[at], result)
        final = [outcome.refusal() if isinstance(outcome, InvalidReply) else outcome for outcome in outcomes]
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

    def _read(self, question: Question, result: Generated | GenerationFailed) -> Outcome | InvalidReply:
        request, teacher = question.request, question.teacher
        if isinstance(result, GenerationFailed):
            return Refusal(result.reason, result.detail)
        if request.reply is None and not request.sampling.reasoning:
            answer = first_token_answer(result.scores)
            if answer is None:
                return Refusal("invalid_reply", "the model gave neither yes nor no a score", result.text)
            return Reply(closed_reply(answer), teacher, answer=answer, tokens=result.tokens)
        if result.finish == "length":
            return Refusal("truncated", "the reply was cut off: raise teacher.sampling.max_tokens", result.text)
        if request.reply is None:
            answer = read_answer(result.text, result.scores)
            if answer is None:
                return Refusal("invalid_reply", "the reply does not end in an answer of yes or no", result.text)
            reasoning = reasoning_of(result.text)
            return Reply(result.text, teacher, answer=answer, reasoning=reasoning, tokens=result.tokens)
        parsed, problem = parse_reply(request.reply, result.text)
        if parsed is None:
            return InvalidReply(result.text, problem)
        return Reply(result.text, teacher, parsed=parsed, tokens=result.tokens)


def _where(model: str) -> str:
    folder = Path(model)
    if not folder.is_dir():
        return "from the hub or its cache"
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder}: holds no config.json, so it is no model")
    return "a folder"
