"""What an answer means that is not 200: whether it may pass, concerns one request, or concerns whoever asks.

Servers say the same in many ways: a wrong key is 401, or 403, or a 400 with words; no credit is 402, or a 429 that
will not pass. What concerns the account or the model would fail every request, so it ends the run, with the server's
words.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from hardcut.engine.retry import Transient
from hardcut.schemas.errors import MissingDependency, UsageError

LONGEST_WAIT_S = 60.0
"""A server that asks to wait longer than this is not waited for: the run stops and says when to start again."""

_PASSING = frozenset({408, 409, 425, 429})
_NO_CREDIT = re.compile(
    r"insufficient[ _-]?(quota|balance|credit|fund)|credit balance|exceeded_current_quota|out of credits?|"
    r"no credits?\b|payment[ _]required|billing[ _](hard[ _]limit|not[ _]active)|余额不足|欠费",
    re.IGNORECASE,
)
_NO_KEY = re.compile(
    r"(invalid|incorrect|wrong|missing|expired|revoked|unknown|no|not a valid)[ _](api|access|auth\w*)[ _-]?"
    r"(key|token)|"
    r"api[ _-]?key[ _](is )?(not[ _]valid|invalid|missing|expired|required|not[ _]found)|"
    r"\b(authentication|unauthenticated|unauthorized|account_?deactivated)|"
    r"\baccount\b.{0,40}\b(deactivated|disabled|suspended)|permission[ _]denied",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_?not_?found|(unknown|invalid|no such|unsupported|unrecognized)[ _]model\b|\bis not a valid model|"
    r"\bmodels?\b(?:(?!\.\s).){0,120}?\b(not exist|not found|is not a valid|is not available|not served|"
    r"is not supported|no longer|deprecated|not have access)|模型不存在",
    re.IGNORECASE | re.DOTALL,
)
_OF_FORM = re.compile(r"logprob|image_url|image input|multi-?modal model|response_format", re.IGNORECASE)
"""A refusal that names one of these is of how a request is written, whatever it says of the model."""
_CANNOT = re.compile(
    r"not (yet )?(be )?(supported|implemented)|unsupported|does not support|jinja|must be a string|system role",
    re.IGNORECASE,
)
"""Words of a server that answers 500 or 501 to what it cannot do (llama.cpp), and will not be able to do the next
time."""
_MODERATED = re.compile(r"moderat|flagged|content[ _]policy|safety", re.IGNORECASE)
_LONGEST = timedelta(days=3650)


class RequestFailed(Transient):
    """A call failed in a way that may pass. `reason` is a stable word, `raw` what the server said. `refused`: the
    server answered with an error, so that it took nothing for it."""

    def __init__(
        self,
        reason: str,
        message: str,
        retry_after_s: float | None = None,
        raw: str | None = None,
        *,
        refused: bool = False,
    ) -> None:
        super().__init__(message, retry_after_s)
        self.reason = reason
        self.raw = raw
        self.refused = refused


class NoConnection(RequestFailed):
    """No connection came about, so nothing was sent."""


class RequestRejected(Exception):
    """The server refuses this request for good (400, 413, 422, …)."""

    def __init__(self, status: int, raw: str) -> None:
        super().__init__(f"HTTP {status}: {words_of(raw)[:200]}")
        self.status = status
        self.raw = raw


class AccountRefused(UsageError):
    """The server does not take whoever asks: no key, or not this one."""


class NotFound(UsageError):
    """Nothing is at the address, or no such model."""


def fault_of(url: str, status: int, retry_after: str | None, raw: str, key_advice: str) -> Exception:
    """The error that an answer with `status` and the text `raw` stands for.

    RequestFailed may pass, RequestRejected concerns this request alone; all others end the run: MissingDependency (no
    credit, a long wait), AccountRefused (key), NotFound (model, address), UsageError (redirect).
    """
    words, signs = words_of(raw), _signs_of(raw)
    said = f"{url} answered {status}: {words[:300]}"
    client = 400 <= status < 500
    if status == 402 or (client and _NO_CREDIT.search(signs)):
        return MissingDependency(f"{said}: the account has no credit: mend that, then start again to go on")
    if status == 403 and _MODERATED.search(signs):
        return RequestRejected(status, raw)
    if status in (401, 403) or (client and status != 429 and _NO_KEY.search(signs)):
        return AccountRefused(f"{said}: {key_advice}")
    of_form = _OF_FORM.search(signs)
    if not of_form and (status == 404 or (status in (400, 422) and _NO_MODEL.search(signs))):
        return NotFound(f"{said}: check model and address (most servers want it to end in /v1)")
    if 300 <= status < 400:
        return UsageError(f"{said}: it redirects, which is not followed; give the address that it redirects to")
    if status in (500, 501) and _CANNOT.search(signs):
        return RequestRejected(status, raw)
    if status in _PASSING or status >= 500:
        wait_s = seconds_of(retry_after)
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            return MissingDependency(f"{said}: it asks to wait: {_start_again(wait_s)}")
        return RequestFailed(f"http_{status}", said, wait_s, raw, refused=True)
    return RequestRejected(status, raw)


def words_of(raw: str) -> str:
    """What an error says, in one line: its message, where it is JSON of a usual form, else all of it."""
    error = _error_in(raw)
    message = next((error[name] for name in ("message", "msg", "detail", "error") if error.get(name)), raw)
    return " ".join((message if isinstance(message, str) else raw).split())


def _signs_of(raw: str) -> str:
    """What tells an error's kind: its message and its codes. Nothing else of it: some servers repeat the request."""
    codes = [str(_error_in(raw).get(name, "")) for name in ("code", "type", "status", "reason")]
    return " ".join([words_of(raw)[:2000], *codes])


def _error_in(raw: str) -> dict[str, Any]:
    """The innermost object that says what is wrong; empty for what is no JSON of a usual form."""
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    for _ in range(4):
        if isinstance(body, list) and body:
            body = body[0]
        inner = (body.get("error") or body.get("detail")) if isinstance(body, dict) else None
        if not isinstance(inner, dict | list):
            break
        body = inner
    return body if isinstance(body, dict) else {}


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds: a number, or a date (RFC 9110, section 10.2.3); at most ten years, None for what
    is neither."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds != seconds:
        return None
    return min(max(0.0, seconds), _LONGEST.total_seconds())


def _start_again(wait_s: float) -> str:
    at = datetime.now().astimezone() + timedelta(seconds=wait_s)
    return f"start again after {at:%Y-%m-%d %H:%M:%S %Z} to go on"
