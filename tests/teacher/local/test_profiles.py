"""Profiles of others' rerankers: what they show, and that no template is overridden in silence."""

from __future__ import annotations

from typing import Any

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.profiles import HARDCUT, OWN, PROFILES, carried_by, profile_of

CHAT = (
    "{%- for m in messages %}[{{ m.role }}]{%- for c in m.content %}"
    "{%- if c.type == 'video' %}<video>{%- else %}{{ c.text }}{%- endif %}{%- endfor %}{%- endfor %}"
    "{%- if add_generation_prompt %}[assistant]{% endif %}"
)
THEIRS = (
    "{%- for m in messages %}{%- if m.role == 'query' %}Q{%- elif m.role == 'document' %}D{%- endif %}{%- endfor %}"
)


def _rendered(template: str, query: str, as_strings: bool = False) -> str:
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # as transformers has it
    messages: list[dict[str, Any]] = [
        {"role": "query", "content": [{"type": "text", "text": query}]},
        {"role": "document", "content": [{"type": "video"}]},
    ]
    if as_strings:
        messages = [{"role": "query", "content": query}, {"role": "document", "content": "<video>"}]
    return str(environment.from_string(template).render(messages=messages))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("hardcut", "<video>Query: a \\u003cb> it's\nDoes the video answer the query?[assistant]<answer>"),
        ("rankvideo", "<video>Query: a <b> it's\nIs the video relevant? Answer with yes or no.[assistant]<answer>"),
        (
            "rankvideo-released",
            "[user]Query: a <b> it's\nIs the video relevant to the query? Respond with <answer>yes</answer> or "
            "<answer>no</answer>.<video>[assistant]",
        ),
        (
            "qwen3-vl-reranker",
            "[user]<Instruct>: Given a search query, retrieve relevant candidates that answer the query.<Query>:"
            "a <b> it's\n<Document>:<video>[assistant]",
        ),
    ],
)
def test_a_profile_shows_pairs_as_its_makers_do(name: str, shown: str) -> None:
    template = PROFILES[name].written_into(CHAT)
    found = _rendered(template, "a <b> it's")
    assert found.startswith(f"[system]{PROFILES[name].system}[user]") and found.endswith(shown)
    assert carried_by(template) == name, "a saved model carries its profile"
    assert found == _rendered(template, "a <b> it's", as_strings=True), "as vLLM's /score gives them"


def test_what_is_no_pair_is_rendered_as_before() -> None:
    jinja2 = pytest.importorskip("jinja2")
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    for profile in PROFILES.values():
        found = jinja2.Environment().from_string(profile.written_into(CHAT)).render(messages=messages)
        assert found == "[user]hello"


def test_a_template_with_roles_of_its_own_is_used_as_it_is() -> None:
    assert carried_by(THEIRS) == OWN and profile_of(THEIRS) is None and profile_of(THEIRS, OWN) is None
    assert carried_by(CHAT) is None and profile_of(CHAT) is HARDCUT
    for template, named in ((THEIRS, "rankvideo"), (HARDCUT.written_into(CHAT), "rankvideo")):
        with pytest.raises(UsageError, match="would override"):
            profile_of(template, named)
    with pytest.raises(UsageError, match="no roles query and document"):
        profile_of(CHAT, OWN)
    with pytest.raises(UsageError, match="no profile 'x'"):
        profile_of(CHAT, "x")
