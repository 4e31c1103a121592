"""Profiles: how rerankers that others trained are shown a query and a video, and where their score is read.

A profile is written into the processor's chat template, which then knows the roles `query` and `document`: so a saved
model carries it. A template that knows these roles by itself is used as it is (`own`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hardcut.schemas.errors import UsageError
from hardcut.teacher.prompts.question import PREFILL

_OURS = "{#- hardcut: a pair of query and document -#}"
_ROLE = re.compile(r"""role['"\]]*\s*(?:==|,\s*['"]equalto['"]\s*,)\s*['"](?:query|document)['"]""")
_SYSTEM = (
    "You judge whether a video answers a search query. It does only if everything that the query asks for is there, in "
    "the order and direction that it asks for, and nothing that it excludes. Reply with yes or no."
)
_RANKVIDEO = "You are a helpful assistant specialized in video and text understanding. Given a text query and a video, "
_INSTRUCT = "Given a search query, retrieve relevant candidates that answer the query."
OWN = "own"
"""The name of a template that knows the roles by itself."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a pair is shown. `content` is the list of a user message's parts as Jinja, of `hardcut_text` (the query) and
    `hardcut_media` (the video's part). `escaped`: the query's angle brackets are spelled out. `answer` is what the
    reply begins with. `spellings`: the score is of all spellings of yes and no together, not of the words `yes` and
    `no` alone. `fps`, `frames` and `frame_pixels` are what its makers show at most; None: whatever is asked for."""

    name: str
    system: str
    content: str
    answer: str = ""
    escaped: bool = False
    spellings: bool = False
    fps: float | None = None
    frames: int | None = None
    frame_pixels: int | None = None

    @property
    def mark(self) -> str:
        """What a template with this profile begins with."""
        return _OURS if self.name == "hardcut" else f"{{#- hardcut: a pair as {self.name} -#}}"

    def written_into(self, template: str) -> str:
        """The template with the roles of a pair. What a template can call them is not its own business: the pair
        becomes a conversation that any template renders."""
        # vLLM's `/score` gives strings, the video's placeholder within; everybody else gives lists of parts.
        text = "(hardcut_asked if hardcut_asked is string else (hardcut_asked | selectattr('type', 'equalto', 'text')"
        text += " | list)[0].text)"
        text += " | replace('<', '\\\\u003c')" if self.escaped else ""
        return (
            self.mark
            + "{%- set hardcut_query = messages | selectattr('role', 'equalto', 'query') | list -%}"
            + "{%- set hardcut_document = messages | selectattr('role', 'equalto', 'document') | list -%}"
            + "{%- if hardcut_query and hardcut_document -%}"
            + "{%- set hardcut_asked = hardcut_query[0].content -%}{%- set hardcut_text = "
            + text
            + " -%}{%- set hardcut_shown = hardcut_document[0].content -%}{%- set hardcut_media = "
            + "[{'type': 'text', 'text': hardcut_shown}] if hardcut_shown is string else hardcut_shown -%}"
            # A composed query brings the video that it starts from.
            + "{%- set hardcut_reference = [] if hardcut_asked is string else hardcut_asked"
            + " | rejectattr('type', 'equalto', 'text') | list -%}{%- if hardcut_reference -%}{%- set hardcut_media = "
            + "[{'type': 'text', 'text': 'Reference video: '}] + hardcut_reference + "
            + "[{'type': 'text', 'text': '\\nVideo: '}] + hardcut_media -%}{%- endif -%}"
            + "{%- set messages = [{'role': 'system', 'content': [{'type': 'text', 'text': "
            + _quoted(self.system)
            + "}]}, {'role': 'user', 'content': "
            + self.content
            + "}] -%}{%- set add_generation_prompt = true -%}{%- endif -%}"
            + template
            + "{%- if hardcut_query and hardcut_document -%}{{ "
            + _quoted(self.answer)
            + " }}{%- endif -%}"
        )


def _quoted(text: str) -> str:
    """A string of Jinja."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _text(*parts: str) -> str:
    """A part of a message: strings of Jinja, one after the other."""
    return "[{'type': 'text', 'text': " + " ~ ".join(parts) + "}]"


HARDCUT = Profile(
    "hardcut",
    _SYSTEM,
    "hardcut_media + " + _text("'Query: '", "hardcut_text", r"'\nDoes the video answer the query?'"),
    answer=PREFILL,
    escaped=True,
)
"""The one that Hardcut trains, and judges with that nobody trained are asked by."""
PROFILES = {
    profile.name: profile
    for profile in (
        HARDCUT,
        # RANKVIDEO's training (rankvideo/train_reranker.py): video, then text; yes and no right after the tag.
        Profile(
            "rankvideo",
            _RANKVIDEO + "determine if the video is relevant.",
            "hardcut_media + "
            + _text("'Query: '", "hardcut_text", r"'\nIs the video relevant? Answer with yes or no.'"),
            answer=PREFILL,
            fps=2.0,
            frames=24,
        ),
        # What it released for inference (rankvideo/inference.py): text, then video; the first token, no tag.
        Profile(
            "rankvideo-released",
            _RANKVIDEO + "your task is to determine if the video is relevant to the query. Respond with "
            "<answer>yes</answer> if the video is relevant, or <answer>no</answer> if it is not. ",
            _text(
                "'Query: '",
                "hardcut_text",
                r"'\nIs the video relevant to the query? Respond with <answer>yes</answer> or <answer>no</answer>.'",
            )
            + " + hardcut_media",
            spellings=True,
            fps=2.0,
            frames=32,
            frame_pixels=128 * 32 * 32,
        ),
        # Qwen3-VL-Reranker (arXiv 2601.04720): everything in one message, the document last.
        Profile(
            "qwen3-vl-reranker",
            "Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that "
            'the answer can only be "yes" or "no".',
            _text(_quoted(f"<Instruct>: {_INSTRUCT}"), "'<Query>:'", "hardcut_text", r"'\n<Document>:'")
            + " + hardcut_media",
            fps=1.0,
            frames=64,
            frame_pixels=768 * 32 * 32,
        ),
    )
}


def profile_of(template: str, name: str | None = None) -> Profile | None:
    """Which profile is to be written into a template: the one that is named, or ours; None where it has one, or knows
    the roles of a pair by itself.

    Raises UsageError for a name that there is not, or another one than the template has.
    """
    if name not in (None, OWN, *PROFILES):
        raise UsageError(f"no profile {name!r}: {', '.join(PROFILES)}, or {OWN} for the model's own template")
    carried = carried_by(template)
    if carried is not None and name not in (None, carried):
        raise UsageError(f"the model's template has the profile {carried}, and {name} would override it")
    if carried is None and name == OWN:
        raise UsageError("the model's template knows no roles query and document: name another profile")
    return None if carried is not None else PROFILES[name or HARDCUT.name]


def carried_by(template: str) -> str | None:
    """The profile that a template has; `own` where it knows the roles without one of ours, None where it does not."""
    carried = next((each.name for each in PROFILES.values() if each.mark in template), None)
    return OWN if carried is None and _ROLE.search(template) else carried
