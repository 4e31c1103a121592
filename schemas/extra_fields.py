"""Further fields of a request to a server, which a user may add: what a model understands beside what all do."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator

from hardcut.schemas.ids import canonical_json

OURS = frozenset(
    (
        *("messages", "model", "stream", "stream_options", "n", "seed", "temperature", "top_p", "stop"),
        *("max_tokens", "max_completion_tokens", "response_format", "logprobs", "top_logprobs", "logprob_token_ids"),
    )
)
"""Fields of a request that Hardcut sets itself, out of other settings or of what the server can do."""


def _canonical(text: str) -> str:
    """A JSON object in its canonical form. Raises ValueError for another text, and for a field that is ours."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(told, dict) or not told:
        raise ValueError('is no JSON object with fields, such as {"reasoning_effort": "low"}')
    if ours := sorted(OURS & told.keys()):
        raise ValueError(f"{ours[0]} is set by Hardcut: see teacher.sampling")
    return canonical_json(told)


ExtraFields = Annotated[str, AfterValidator(_canonical)]
"""JSON, such as `{"chat_template_kwargs": {"enable_thinking": false}}`."""
