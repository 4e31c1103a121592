"""One HTTP endpoint: one session, a bounded number of requests, and errors by what can be done about them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from hardcut.engine.retry import Transient
from hardcut.schemas.errors import UsageError
from hardcut.teacher.server.pace import Pace

KEY_VARIABLES = ("HARDCUT_API_KEY", "OPENAI_API_KEY")
"""Where the API key is looked for, in this order, by the first call. It is kept in no file."""

_MAX_REPLY = 64 * 2**20
_MAX_ERROR = 64 * 2**10
_PASSING = frozenset({408, 409, 425, 429})
_CONNECT_S = 30.0
_GET_S = 10.0


class RequestFailed(Transient):
    """A call failed in a way that may pass. `reason` is a stable word, `raw` what the server said."""

    def __init__(self, reason: str, message: str, retry_after_s: float | None = None, raw: str | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.reason = reason
        self.raw = raw


class NoConnection(RequestFailed):
    """No connection came about, so nothing was sent."""


class RequestRejected(Exception):
    """The server refuses this request for good (400, 413, 422, …)."""

    def __init__(self, status: int, raw: str) -> None:
        super().__init__(f"HTTP {status}: {raw[:200]}")
        self.status = status
        self.raw = raw


class Endpoint:
    """An address to which JSON is posted.

    `url` is http or https without user, password, query and fragment, since it is written into records and settings.
    Redirects are not followed. `timeout_s` is for one call from its start to the last byte. Raises UsageError for any
    other URL.
    """

    def __init__(self, url: str, *, concurrency: int, timeout_s: float) -> None:
        self.url = _checked(url)
        self._pace = Pace(concurrency, timeout_s)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._key: str | None = None

    @property
    def pace(self) -> Pace:
        """Gives a turn to each call."""
        return self._pace

    async def post(
        self, path: str, body: bytes, *, content_type: str = "application/json", root: bool = False
    ) -> bytes:
        """The body of the answer; `root` leaves out the `/v1` of the address. Raises Failed, Unreachable, Rejected, or
        UsageError where every call would fail."""
        base = self.url.removesuffix("/v1") if root else self.url
        # A payload as such: from bare bytes, aiohttp looks for the kind of payload that takes them (18 calls).
        payload = aiohttp.BytesPayload(body, content_type=content_type)
        return await self._request("POST", base + path, payload, self._timeout)

    async def get(self, path: str) -> bytes:
        """As `post`, within 10 seconds."""
        return await self._request("GET", self.url + path, None, aiohttp.ClientTimeout(total=_GET_S))

    async def _request(
        self,
        method: str,
        url: str,
        body: aiohttp.BytesPayload | None,
        within: aiohttp.ClientTimeout,
    ) -> bytes:
        session = self._session or self._open()
        try:
            async with session.request(method, url, data=body, timeout=within, allow_redirects=False) as response:
                limit = _MAX_REPLY if response.status == 200 else _MAX_ERROR
                data = _redacted(await _read(response, limit), self._key)
        except aiohttp.ClientConnectorError as error:
            raise NoConnection("unreachable", f"no connection to {self.url}: {error.os_error}") from error
        except TimeoutError as error:
            raise RequestFailed("timeout", f"{self.url} did not answer within {within.total:g} s") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise RequestFailed("connection", f"{self.url} broke off: {type(error).__name__}: {error}") from error
        if response.status == 200:
            return data
        raise self._error(response.status, response.headers.get("Retry-After"), data)

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        self._key = api_key()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # `pace` is the limit
            headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session

    def _error(self, status: int, retry_after: str | None, data: bytes) -> Exception:
        raw = data.decode("utf-8", "replace")
        said = f"{self.url} answered {status}: {raw[:300].strip()}"
        if status in _PASSING or status >= 500:
            return RequestFailed(f"http_{status}", said, _seconds(retry_after), raw)
        if status in (401, 403):
            return UsageError(f"{said}: give a valid API key in the environment variable {KEY_VARIABLES[0]}")
        if status == 404:
            return UsageError(f"{said}: check model and address (most servers want it to end in /v1)")
        if 300 <= status < 400:
            return UsageError(f"{said}: it redirects, which is not followed; give the address that it redirects to")
        return RequestRejected(status, raw)


def api_key() -> str | None:
    """The key in the environment, if there is one. Raises UsageError where it cannot be sent in a header."""
    for name in KEY_VARIABLES:
        if key := os.environ.get(name, "").strip():
            if not (key.isascii() and key.isprintable()):
                raise UsageError(f"the environment variable {name} holds characters that no API key has: set it anew")
            return key
    return None


def _checked(url: str) -> str:
    """The address without a slash at its end. What it says of a wrong one repeats no password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname and (parts.port or True)
    except ValueError as error:
        raise UsageError(f"the teacher's address is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("the teacher's address must begin with http:// or https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"the teacher's address must not carry user, password, query or fragment, since it is written into files: "
            f"give {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path} and the key in {KEY_VARIABLES[0]}"
        )
    return url.rstrip("/")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body of a reply, or the first part of an error's. Raises Failed where a reply is over the limit."""
    announced = response.content_length  # of what is on the wire: says nothing of how much a compressed reply holds
    if announced is not None and announced <= limit and "Content-Encoding" not in response.headers:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(2**18):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            if response.status == 200:
                raise RequestFailed("too_large", f"the reply is larger than {limit} bytes")
            break
    return b"".join(chunks)[:limit]


def _redacted(data: bytes, key: str | None) -> bytes:
    """Some servers repeat the key in their errors, and what a server says is kept. (Dummy keys are short.)"""
    return data.replace(key.encode(), b"***") if key and len(key) >= 8 else data


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds: a number, or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
