"""What all backends with a model do alike: a question with its key, and what is asked where a reply does not do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, JsonValue

from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.teacher.backend import Question
from hardcut.teacher.prompts.control_tokens import spell_out
from hardcut.teacher.prompts.render import Prompts, Rendered
from hardcut.teacher.protocol import Answer, Refusal, Request, Task

PREFILL = "<answer>"
"""What the reply begins with where a judge is not to reason: yes or no comes next."""
STOP = "</answer>"
"""Where a judge ends."""
ANSWER_NOW = "Give your answer now, as exactly one of <answer>yes</answer> and <answer>no</answer>, and nothing else."
"""What a judge is told that has reasoned for as long as it may."""


Describe = Callable[[Task, Sampling], TeacherRef]
"""Who answers a task."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose replies they are, for their keys: the teacher, and the `version` of its backend."""

    describe: Describe
    version: int


def prepare_questions(
    requests: Sequence[Request], describe: Describe, prompts: Prompts, identities: Sequence[Identity]
) -> list[Question]:
    """The questions with their prompts filled in. A key covers one of `identities`, the rendered prompt, frames and
    their times, those of a reference apart, sampling and schema; the first of them makes the key, the others those
    under which earlier versions kept the same reply. What the requests of a video have in common is digested once."""
    known: list[tuple[object, ...]] = []  # not hashed: that takes as long as the digest, and there is one as a rule
    begun: list[tuple[TeacherRef, list[hashlib._Hash]]] = []
    questions = []
    for request in requests:
        common = request.task, request.reply, request.sampling, request.shown
        if common not in known:
            known.append(common)
            whose = [
                _teacher_digest(each.describe(request.task, request.sampling), each.version) for each in identities
            ]
            teacher = describe(request.task, request.sampling)
            begun.append((teacher, [_digest_without_prompt(request, each) for each in dict.fromkeys(whose)]))
        teacher, totals = begun[known.index(common)]
        prompt = prompts.fill(request)
        key, *former = (_key(total, prompt) for total in totals)
        questions.append(Question(request, teacher, prompt, key, tuple(former)))
    return questions


def _key(common: hashlib._Hash, prompt: Rendered) -> str:
    total = common.copy()
    _add(total, prompt.system, prompt.user)
    return total.hexdigest()


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
def _schema_text(model: type[BaseModel]) -> str:
    """The schema without bounds, which follow from the rest of a key."""
    schema: dict[str, JsonValue] = model.model_json_schema()
    return canonical_json(schema)


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


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What a judge said who has come to no answer within its budget: the answer is asked for apart."""

    text: str
    why: str

    def so_far(self) -> str:
        """Its reasoning, up to an answer that it did not finish."""
        return spell_out(self.text.partition(PREFILL)[0].rstrip()) + "\n"

    def refusal(self) -> Refusal:
        """What it is where there is no answer after that either."""
        return Refusal("invalid_reply", f"{self.why}, nor does it answer when it is told to", self.text)


def closed_reply(answer: Answer) -> str:
    """The text of a reply whose answer was read off the first token."""
    return f"{PREFILL}{answer.verdict}</answer>"
