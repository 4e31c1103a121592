"""What all backends with a model do alike: a question with its key, and a structured reply read by its schema."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, JsonValue, ValidationError

from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.teacher.backend import Question
from hardcut.teacher.prompts.control_tokens import spell_out
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Answer, Refusal, Request, Task

PREFILL = "<answer>"
"""What the reply begins with where a judge is not to reason: yes or no comes next."""


def prepare_questions(
    requests: Sequence[Request], describe: Callable[[Task, Sampling], TeacherRef], prompts: Prompts, version: int
) -> list[Question]:
    """The questions with their prompts filled in. A key covers teacher, `version` (of the backend), rendered prompt,
    frames and their times, those of a reference apart, sampling and schema; what the requests of a video have in common
    is digested once."""
    known: list[tuple[object, ...]] = []  # not hashed: that takes as long as the digest, and there is one as a rule
    begun: list[tuple[TeacherRef, hashlib._Hash]] = []
    questions = []
    for request in requests:
        common = request.task, request.reply, request.sampling, request.shown
        if common not in known:
            known.append(common)
            teacher = describe(request.task, request.sampling)
            begun.append((teacher, _digest_without_prompt(request, _teacher_digest(teacher, version))))
        teacher, total = begun[known.index(common)]
        prompt, total = prompts.fill(request), total.copy()
        _add(total, prompt.system, prompt.user)
        questions.append(Question(request, teacher, prompt, total.hexdigest()))
    return questions


def _digest_without_prompt(request: Request, teacher: str) -> hashlib._Hash:
    total = hashlib.sha256(teacher.encode())
    frames, reference = (
        " ".join(f"{frame.sha256} {frame.time_s!r}" for frame in each) for each in (request.frames, request.reference)
    )
    _add(total, request.task, _schema_text(request.reply) if request.reply else "", frames, reference)
    return total


def _add(total: hashlib._Hash, *parts: str) -> None:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        total.update(b"%d " % len(data) + data)


@lru_cache(maxsize=64)
def _teacher_digest(teacher: TeacherRef, version: int) -> str:
    return digest(teacher.model_dump(mode="json", exclude={"prompt_digest"}), version)


@lru_cache(maxsize=16)
def reply_schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    """The JSON Schema that a reply must fit."""
    return model.model_json_schema()


@lru_cache(maxsize=16)
def _schema_text(model: type[BaseModel]) -> str:
    return canonical_json(reply_schema(model))


@dataclass(frozen=True, slots=True)
class InvalidReply:
    """A reply that does not fit its schema, and why."""

    text: str
    problem: str

    def repair(self) -> tuple[tuple[str, str], ...]:
        """The messages, role and text, that ask for it once more. A model may have written out what a video spelled."""
        ask = f"Your reply does not fit: {self.problem}\nReply again with the corrected JSON object and nothing else."
        return ("assistant", spell_out(self.text)), ("user", spell_out(ask))

    def refusal(self) -> Refusal:
        """What it is after its repair did not fit either."""
        return Refusal("invalid_reply", f"does not fit the schema, nor did its repair: {self.problem}", self.text)


def closed_reply(answer: Answer) -> str:
    """The text of a reply whose answer was read off the first token."""
    return f"{PREFILL}{answer.verdict}</answer>"


def parse_reply(model: type[BaseModel], text: str) -> tuple[BaseModel | None, str]:
    """The value, or None and what is wrong. Thoughts before the JSON, and a fence of Markdown around it, as many models
    write, are no fault."""
    before, thought, after = text.partition("</think>")
    inside = after if thought and not before.lstrip().startswith(("{", "```")) else text
    inside = inside.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return model.model_validate_json(inside), ""
    except ValidationError as error:
        return None, validation_message(error)


def validation_message(error: ValidationError) -> str:
    """The first errors, each with where."""
    return "; ".join(
        ": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"]]))
        for each in error.errors(include_url=False, include_input=False)[:5]
    )
