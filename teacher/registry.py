"""Teachers by name. A new backend gets its line in `_BACKENDS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.budget import CallBudget
from hardcut.engine.replies import ReplyCache
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Resources
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.evidence import EvidenceTeacher
from hardcut.teacher.protocol import Teacher
from hardcut.teacher.render import Prompts

_OPENAI = re.compile(r"(?P<model>.+?)@(?P<url>[A-Za-z][A-Za-z0-9+.-]*://.+)")


@dataclass(frozen=True, slots=True)
class _Context:
    """All that a backend can be made with."""

    revision: str | None
    prompts: Path | None
    resources: Resources
    replies: ReplyCache
    budget: CallBudget | None


def open_teacher(
    spec: str,
    *,
    replies: ReplyCache,
    budget: CallBudget | None = None,
    revision: str | None = None,
    prompts: Path | None = None,
    resources: Resources | None = None,
) -> Teacher:
    """The teacher that `spec` names: `evidence` or `openai:MODEL@URL`. Connects to nothing yet.

    `prompts` is a folder whose files take the place of ours, by name. Raises UsageError for a spec that names none.
    """
    name, _, rest = spec.partition(":")
    if name not in _BACKENDS:
        raise UsageError(f"teacher {spec!r}: unknown backend; there are: {', '.join(_FORMS)}")
    return _BACKENDS[name](rest, _Context(revision, prompts, resources or Resources(), replies, budget))


def _evidence(rest: str, context: _Context) -> Teacher:
    if rest:
        raise UsageError(f"teacher 'evidence:{rest}': it is called evidence and nothing more")
    return EvidenceTeacher()


def _openai(rest: str, context: _Context) -> Teacher:
    from hardcut.teacher.openai import OpenAITeacher

    match = _OPENAI.fullmatch(rest)
    if match is None:
        raise UsageError("teacher openai: give openai:MODEL@URL, such as openai:Qwen3-VL-8B@http://127.0.0.1:8000/v1")
    backend = OpenAITeacher(
        match["model"],
        match["url"],
        revision=context.revision,
        prompts=Prompts(context.prompts),
        concurrency=context.resources.concurrency,
        timeout_s=context.resources.request_timeout_s,
        attempts=context.resources.max_attempts,
    )
    return CachedTeacher(backend, context.replies, context.budget)


_BACKENDS: Mapping[str, Callable[[str, _Context], Teacher]] = {"evidence": _evidence, "openai": _openai}
_FORMS = ("evidence", "openai:MODEL@URL")
