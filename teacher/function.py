"""`function:NAME`: a teacher that is the user's Python function, for tests and for models that no backend runs.

Its replies are kept and counted like any teacher's. The name and the revision identify a function, not its content. So
the user changes one of them when it would answer differently.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from hardcut.schemas.errors import BudgetReached, ItemError, MissingDependency, UsageError
from hardcut.schemas.logistic import log_sigmoid
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.backend import Meter, Question
from hardcut.teacher.prompts.question import Identity, closed_reply, prepare_questions
from hardcut.teacher.prompts.reading import validation_message
from hardcut.teacher.prompts.render import Prompts, Rendered
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request, Task, Teacher

if TYPE_CHECKING:
    from hardcut.teacher.registry import BackendContext

VERSION = 1
"""Part of every key. Count it up when a function gets other arguments."""

Said = bool | float | str | Answer | BaseModel | Mapping[str, Any]
"""What a function may return. For `judge`: yes or no, a margin (log p(yes) - log p(no)), or an `Answer`. For other
tasks: the `reply` model of the request, its fields as a mapping, or its JSON."""


@dataclass(frozen=True, slots=True)
class FunctionRequest:
    """The argument of the function: the request, and the prompt that a model would get.

    `request.task` is the task, `request.inputs` what is known of the video, and `request.frames` its pictures (`path`,
    `time_s`). `request.reply` is the pydantic model that the answer must fit, or None for `judge`.
    """

    request: Request
    prompt: Rendered


Function = Callable[[FunctionRequest], Said | Awaitable[Said]]
"""A plain or an async function. A plain one is called in a thread."""

_FUNCTIONS: dict[str, tuple[Function, int]] = {}
"""The functions of this process by name, each with a limit of its calls at a time."""


def register(name: str, function: Function, concurrency: int = 1) -> None:
    """Registers a function as `function:NAME`. It replaces an earlier one of the same name."""
    if not name or not name.isprintable() or concurrency < 1:
        raise UsageError(f"a teacher out of a function needs a name and a concurrency of 1 or more, got {name!r}")
    _FUNCTIONS[name] = function, concurrency


class FunctionTeacher:
    """A backend that asks a registered function."""

    def __init__(self, name: str, revision: str | None, prompts: Prompts) -> None:
        """Raises UsageError where no function of that name was registered in this process."""
        if name not in _FUNCTIONS:
            raise UsageError(
                f"teacher 'function:{name}' is a Python function: use this run from the script that makes it "
                f"(hardcut.teacher_from(..., name={name!r}))"
            )
        self._function, concurrency = _FUNCTIONS[name]
        self._is_async = inspect.iscoroutinefunction(self._function)
        self._name = name
        self._revision = revision
        self._prompts = prompts
        self._free = asyncio.Semaphore(concurrency)

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return TeacherRef(
            backend="function",
            model=self._name,
            revision=self._revision,
            prompt_digest=self._prompts.digest(task),
            sampling=sampling,
        )

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        return prepare_questions(requests, self.describe, self._prompts, [Identity(self.describe, VERSION)])

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        return list(await asyncio.gather(*(self._one(at, each, meter) for at, each in enumerate(questions))))

    async def ping(self) -> str:
        return f"{self._name}: a function of this process"

    async def close(self) -> None:
        """The function is the caller's."""

    async def _one(self, position: int, question: Question, meter: Meter) -> Outcome:
        async with self._free:
            await meter.sending()
            try:
                said = await self._said(FunctionRequest(question.request, question.prompt))
            except (BudgetReached, MissingDependency, UsageError):  # these end the run
                raise
            except ItemError as error:
                return Refusal(error.reason, error.detail, error.raw)
            except Exception as error:  # noqa: BLE001 - a fault of the user's function costs its request alone
                raw = "".join(traceback.format_exception(error))
                return Refusal("function_failed", f"{self._name}: {type(error).__name__}: {error}", raw)
            finally:
                meter.received(Tokens())
        outcome = read(said, question)
        if isinstance(outcome, Reply):
            await meter.keep(position, outcome)
        return outcome

    async def _said(self, asked: FunctionRequest) -> Said:
        said = self._function(asked) if self._is_async else await asyncio.to_thread(self._function, asked)
        return await said if inspect.isawaitable(said) else said


def open_function(name: str, context: BackendContext) -> Teacher:
    """The teacher `function:NAME`."""
    return context.cached(FunctionTeacher(name, context.settings.revision, context.prompts))


def read(said: object, question: Question) -> Outcome:
    """The returned value of a function as a reply; a refusal where it does not fit the request."""
    model = question.request.reply
    if model is None:
        answer = _answer(said)
        if answer is None:
            return Refusal("invalid_reply", "a judge says yes or no, a margin, or an Answer", repr(said))
        return Reply(closed_reply(answer), question.teacher, answer=answer)
    try:
        if isinstance(said, str):
            parsed = model.model_validate_json(said)
        else:
            parsed = said if isinstance(said, model) else model.model_validate(said)
    except ValidationError as error:
        return Refusal("invalid_reply", f"does not fit {model.__name__}: {validation_message(error)}", repr(said))
    return Reply(parsed.model_dump_json(), question.teacher, parsed=parsed)


def _answer(said: object) -> Answer | None:
    if isinstance(said, Answer):
        return said
    if isinstance(said, bool) or (isinstance(said, str) and said.strip().lower() in ("yes", "no")):
        yes = said if isinstance(said, bool) else said.strip().lower() == "yes"
        return Answer("yes" if yes else "no")
    if isinstance(said, int | float) and math.isfinite(said):
        log_yes, log_no = log_sigmoid(said), log_sigmoid(-said)
        return Answer("yes" if said > 0 else "no", log_yes, log_no, token_yes=log_yes, token_no=log_no)
    return None
