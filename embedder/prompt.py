"""The one-word prompt (TARA, arXiv 2512.13511, section 3): the last token of it stands for what it sums up.

It lives in the model's own chat template. So a saved model carries it, and sentence-transformers and vLLM render the
same prompt from a plain text, a picture or a video.
"""

from __future__ import annotations

from typing import Any

SENTENCE, VIDEO = "\\nSummary above sentence in one word:", "\\nSummary above video in one word:"
IMAGE = "\\nSummary above image in one word:"
EDIT = (
    "\\nLook at the attached video carefully. The provided text is instruction to edit the video. "
    "Imagine this edit instruction being applied to the provided video frame.\\n"
    "Summarize the resulting edited video in one word:"
)
PLAIN = "{%- for message in messages -%}{{ message.content }}{%- endfor -%}"
"""The template of a model that has none: the text as it is."""
_MARK = "{#- hardcut: in one word -#}"
# What a template can call the roles is not its own business: whatever is asked becomes one message of a user. `<|` is
# taken apart, so that a text cannot write control tokens.
_GATHER = (
    _MARK
    + "{%- set told = namespace(text='', seen=none, name='') -%}"
    + "{%- for message in messages if message.role != 'system' -%}"
    + "{%- if message.content is string -%}{%- set told.text = told.text + message.content -%}{%- else -%}"
    + "{%- for part in message.content -%}"
    + "{%- if part.type == 'video' -%}{%- set told.seen = part -%}{%- set told.name = 'video' -%}"
    + "{%- elif part.type in ('image', 'image_url', 'image_pil') -%}"
    + "{%- set told.seen = part -%}{%- set told.name = 'image' -%}"
    + "{%- elif part.text is defined -%}{%- set told.text = told.text + part.text -%}{%- endif -%}"
    + "{%- endfor -%}{%- endif -%}{%- endfor -%}"
    + "{%- set asked = told.text | replace('<|', '< |') -%}"
)
_SEEN = (
    "{%- if told.seen is not none and asked -%}"
    + "{%- set content = [{'type': 'text', 'text': 'Source ' + told.name + ': '}, told.seen, "
    + "{'type': 'text', 'text': '\\nEdit instruction: ' + asked + '"
    + EDIT
    + "'}] -%}"
    + "{%- elif told.seen is not none -%}"
    + "{%- set content = [told.seen, {'type': 'text', 'text': '"
    + VIDEO
    + "' if told.name == 'video' else '"
    + IMAGE
    + "'}] -%}"
    + "{%- else -%}{%- set content = [{'type': 'text', 'text': asked + '"
    + SENTENCE
    + "'}] -%}{%- endif -%}"
)
_READ = "{%- set content = asked + '" + SENTENCE + "' -%}"
_AFTER = (
    "{%- set messages = messages | selectattr('role', 'equalto', 'system') | list + "
    "[{'role': 'user', 'content': content}] -%}{%- set add_generation_prompt = true -%}"
)


def add_one_word(processor: Any, *, sees: bool) -> None:
    """Gives a processor's chat template the one-word prompt, unless it has it. `sees`: it takes videos and pictures."""
    template = processor.chat_template
    if not has_one_word(processor):
        processor.chat_template = _GATHER + (_SEEN if sees else _READ) + _AFTER + template


def has_one_word(processor: Any) -> bool:
    """Whether a processor's chat template asks in one word."""
    return _MARK in (getattr(processor, "chat_template", None) or "")
