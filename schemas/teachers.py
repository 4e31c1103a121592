"""The settings of teachers: which there are, how each is asked, what it charges and what it does in a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hardcut.schemas.base import Frozen
from hardcut.schemas.extra_fields import ExtraFields
from hardcut.schemas.records import Sampling

KeyVariable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]
"""The name of an environment variable, in capitals: so nobody writes the key itself into the settings."""


Role = Literal["captions", "check", "queries", "counterfactuals", "judges"]
"""What a teacher may do in a run."""


class Price(Frozen):
    """What a teacher charges for a million tokens, in the currency of `budget.money`."""

    prompt: float = Field(default=0.0, ge=0)
    completion: float = Field(default=0.0, ge=0)

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class TeacherSettings(Frozen):
    """Which teacher, and how it is asked."""

    spec: str = Field(default="evidence", description="evidence | openai:MODEL@URL | vllm:MODEL | transformers:MODEL")
    revision: str | None = None
    prompts: str | None = Field(default=None, description="a folder whose prompts take the place of ours, by name")
    key_variable: KeyVariable | None = Field(
        default=None,
        description="environment variable that holds its server's key; default: HARDCUT_API_KEY or OPENAI_API_KEY, "
        "for the main teacher's host alone",
    )
    urls: tuple[str, ...] = Field(
        default=(), description="openai: further addresses of the same model; the load is shared among all"
    )
    concurrency: int | None = Field(
        default=None, ge=1, description="openai: requests in flight at each address; default: resources.concurrency"
    )
    extra: ExtraFields | None = Field(
        default=None,
        description='openai: further fields of each request, as JSON, such as \'{"reasoning_effort": "low"}\'',
    )
    sampling: Sampling = Sampling()
    price: Price = Price()


class RoleSettings(Frozen):
    """Which of `[teachers.NAME]` does what. What names none is done by `[teacher]`, or as it is said."""

    captions: str | None = Field(default=None, description="writes captions")
    check: str | None = Field(default=None, description="checks and corrects them; default: as captions")
    queries: str | None = Field(default=None, description="writes queries, composed ones and other wordings")
    counterfactuals: str | None = Field(default=None, description="writes counterfactuals; default: as queries")
    judges: tuple[str, ...] = Field(default=(), description="judge pairs; default: scores.teachers")

    @property
    def named(self) -> tuple[str, ...]:
        """All names that are used."""
        return (*filter(None, (self.captions, self.check, self.queries, self.counterfactuals)), *self.judges)
