"""Prompts: `templates/TASK.system.txt.jinja` and `templates/TASK.user.txt.jinja`, filled with a request's inputs.

What comes from a video (text on screen, speech, metadata, captions, queries) goes into a prompt only through the
`data` filter: JSON whose angle brackets and backticks are escaped, so that nothing in it can close its fence,
open an answer tag or spell a model's control token such as `<|im_end|>` or `[INST]` (`control_tokens.py`).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import get_args

from jinja2 import Environment, StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment
from pydantic import JsonValue

from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.teacher.prompts.control_tokens import spell_out_brackets
from hardcut.teacher.protocol import Request, Task

_ROLES = ("system", "user")
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The two texts that are sent for one request."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The templates of a task, and what its system prompt asks for."""

    system: Template
    user: Template
    asked: tuple[str, ...]


class Prompts:
    """The prompts in force, read once, so that they cannot change in the middle of a run.

    A file of the same name in `folder` takes the place of the one that comes with Hardcut. Raises UsageError for a
    folder that is not there, holds no prompt, or holds one that is no valid template.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._environment = SandboxedEnvironment(
            undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters["data"] = _Data()
        sources = prompt_sources(folder)
        self._sources: dict[Task, tuple[str, ...]] = {}
        self._digests: dict[Task, str] = {}
        self._compiled: dict[Task, _Compiled] = {}
        self._systems: dict[tuple[object, ...], str] = {}
        for task in get_args(Task):
            texts = {role: sources[f"{task}.{role}.txt.jinja"] for role in _ROLES}
            self._sources[task] = tuple(texts.values())
            self._digests[task] = digest(texts)
            if folder is not None:  # ours are valid, and compiled where they are filled in
                self._of(task)

    def digest(self, task: Task) -> str:
        """SHA-256 of the task's prompt files; changes with every word of them."""
        return self._digests[task]

    def sources(self, task: Task) -> tuple[str, ...]:
        """The task's prompt files, as they are written."""
        return self._sources[task]

    def render(self, task: Task, inputs: Mapping[str, JsonValue]) -> Rendered:
        """The texts to send. Raises UsageError where the prompt asks for an input that the task does not have."""
        compiled = self._of(task)
        try:
            return Rendered(self._system(task, compiled, inputs), compiled.user.render(inputs).strip())
        except TemplateError as error:
            raise UsageError(f"prompt {task}: {error}; inputs are {', '.join(sorted(inputs))}") from error

    def fill(self, request: Request) -> Rendered:
        """The texts of a request."""
        return self.render(request.task, {**request.inputs, "reasoning": request.sampling.reasoning})

    def _of(self, task: Task) -> _Compiled:
        if task not in self._compiled:
            system, user = self._sources[task]
            try:
                self._compiled[task] = _Compiled(
                    _template(self._environment, system),
                    _template(self._environment, user),
                    tuple(sorted(find_undeclared_variables(self._environment.parse(system)))),
                )
            except TemplateError as error:
                raise UsageError(f"prompt {task}: not a valid template: {error}") from error
        return self._compiled[task]

    def _system(self, task: Task, compiled: _Compiled, inputs: Mapping[str, JsonValue]) -> str:
        """Most system prompts are the same for all videos: filled in once where they ask for nothing but switches."""
        asked = {name: inputs.get(name) for name in compiled.asked}
        if not all(isinstance(value, bool) for value in asked.values()):
            return compiled.system.render(inputs).strip()
        key = task, *asked.values()
        if key not in self._systems:
            self._systems[key] = compiled.system.render(inputs).strip()
        return self._systems[key]


def _template(environment: Environment, source: str) -> Template:
    """With its globals in one dictionary: looked up in the chain that Jinja makes of them, they take a quarter of the
    time of filling in a short prompt."""
    template = environment.from_string(source)
    template.globals = dict(template.globals)
    return template


class _Data:
    """The `data` filter. The requests of one video hand over one list of evidence, which is written once: the last few
    lists are remembered by identity (and held, so that no other can take their place)."""

    _KEPT = 128

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[list[JsonValue], str]] = OrderedDict()

    def __call__(self, value: JsonValue) -> str:
        if not isinstance(value, list):
            return _data(value)
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, _data(value))
            if len(self._known) > self._KEPT:
                self._known.popitem(last=False)
        return known[1]


def _data(value: JsonValue) -> str:
    """JSON that is safe inside a fence; a list gets one line for each item."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(_data(item) for item in value) + "\n]" if value else "[]"
    text = _ENCODER.encode(value)
    return spell_out_brackets(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("`", "\\u0060"))


def prompt_sources(folder: Path | None) -> dict[str, str]:
    """The files of prompts by name: those that come with Hardcut, with the user's in their place.

    Raises UsageError for a folder that is not there or holds no prompt."""
    shipped = resources.files("hardcut.teacher.prompts") / "templates"
    sources = {file.name: file.read_text("utf-8") for file in shipped.iterdir() if file.name.endswith(".txt.jinja")}
    if folder is None:
        return sources
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of prompts")
    own = {name: (folder / name).read_text("utf-8") for name in sources if (folder / name).is_file()}
    if not own:
        raise UsageError(f"{folder}: holds no prompt; the names are {', '.join(sorted(sources))}")
    return sources | own
