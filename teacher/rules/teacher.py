"""The teacher that needs no model: captions and queries out of the evidence, judgments by what of a query it covers.

For trying the chain, for tests, and as the floor that any model must beat. It knows no synonyms, sees no pictures, and
its margins are a made scale, not beliefs of a model; they are exact in that both log-probabilities are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from hardcut.schemas.errors import ItemError
from hardcut.schemas.ids import digest
from hardcut.schemas.logistic import log_sigmoid
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.teacher.prompts.inputs import (
    CaptionInputs,
    CheckInputs,
    ComposeInputs,
    ContrastInputs,
    CounterfactualInputs,
    DecomposeInputs,
    EvidenceLine,
    JudgeInputs,
    ParaphraseInputs,
    QueriesInputs,
    SameInputs,
    TranslateInputs,
)
from hardcut.teacher.prompts.reply_models import TranslateReply
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request, Task
from hardcut.teacher.rules.checker import check_claims, compare_queries, refine_claims
from hardcut.teacher.rules.contrast import write_contrasts
from hardcut.teacher.rules.decomposer import decompose
from hardcut.teacher.rules.judge import Assessment, EvidenceJudge
from hardcut.teacher.rules.rewriter import compose, paraphrase, write_counterfactuals
from hardcut.teacher.rules.writer import write_caption, write_queries

VERSION = "13"
"""Counted up with every change of what this teacher says."""
REVISIONS: Mapping[Task, str] = {
    "queries": "13", "compose": "13", "counterfactual": "13", "paraphrase": "11", "same": "13", "contrast": "13",
    "decompose": "12",
}  # fmt: skip
"""The version in which a task was last changed, where it is not 8; part of its `TeacherRef`, and so of the keys of the
stages that ask it."""

Inputs = TypeVar("Inputs", bound=BaseModel)
Skill = Callable[[Mapping[str, JsonValue]], BaseModel]
"""Answers a task out of its inputs. Raises ValidationError where they are not those of the task."""


def _skill(inputs: type[Inputs], answer: Callable[[Inputs], BaseModel]) -> Skill:
    return lambda given: answer(inputs.model_validate(given))


_SKILLS: Mapping[Task, Skill] = {
    "caption": _skill(CaptionInputs, write_caption),
    "check": _skill(CheckInputs, check_claims),
    "refine": _skill(CheckInputs, refine_claims),
    "queries": _skill(QueriesInputs, write_queries),
    "compose": _skill(ComposeInputs, compose),
    "paraphrase": _skill(ParaphraseInputs, paraphrase),
    "translate": _skill(TranslateInputs, lambda _: TranslateReply(translations=())),  # nobody can without a model
    "same": _skill(SameInputs, compare_queries),
    "contrast": _skill(ContrastInputs, write_contrasts),
    "decompose": _skill(DecomposeInputs, decompose),
    "counterfactual": _skill(CounterfactualInputs, write_counterfactuals),
}


class EvidenceTeacher:
    """Deterministic; ignores frames and sampling."""

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        revision = REVISIONS.get(task, "8")
        prompt = digest("evidence", revision, task)
        return TeacherRef(backend="evidence", model="coverage", revision=revision, prompt_digest=prompt)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answers every request. Raises ItemError where the inputs are not those of the task."""
        judges: dict[tuple[tuple[EvidenceLine, ...], str | None], EvidenceJudge] = {}
        return [self._answer(request, judges) for request in requests]

    async def ping(self) -> str:
        return "evidence: needs no model and no server"

    async def close(self) -> None:
        """Nothing is held."""

    def _answer(
        self, request: Request, judges: dict[tuple[tuple[EvidenceLine, ...], str | None], EvidenceJudge]
    ) -> Reply | Refusal:
        teacher = self.describe(request.task, request.sampling)
        try:
            if request.task == "judge":
                asked = JudgeInputs.model_validate(request.inputs)
                key = asked.evidence, asked.caption
                if key not in judges:
                    judges[key] = EvidenceJudge(*key)
                reference = asked.reference.caption if asked.reference else None
                return _judged(judges[key].judge(asked.query, reference), teacher)
            if request.task not in _SKILLS:
                return Refusal("no_rule", f"the evidence teacher has no rule for the task {request.task}")
            parsed = _SKILLS[request.task](request.inputs)
            return Reply(parsed.model_dump_json(), teacher, parsed=parsed)
        except ValidationError as error:
            raise ItemError("inputs", f"not the inputs of {request.task}: {error}") from error


def _judged(judgment: Assessment, teacher: TeacherRef) -> Reply:
    yes, no = log_sigmoid(judgment.margin), log_sigmoid(-judgment.margin)
    verdict = Answer("yes" if judgment.margin > 0 else "no", logprob_yes=yes, logprob_no=no, token_yes=yes, token_no=no)
    text = f"{judgment.reasoning}\n<answer>{verdict.verdict}</answer>"
    return Reply(text, teacher, answer=verdict, reasoning=judgment.reasoning)
