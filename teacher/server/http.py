"""One HTTP endpoint: one session, a bounded number of requests, and errors by what can be done about them.

The client is loaded by the first endpoint: a run that asks no server does without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from hardcut.schemas.addresses import canonical_address
from hardcut.schemas.errors import UsageError
from hardcut.teacher.server.faults import NoConnection, RequestFailed, fault_of
from hardcut.teacher.server.keys import KeySource
from hardcut.teacher.server.pace import Pace
from hardcut.teacher.server.proxy import Proxy, proxy_for

if TYPE_CHECKING:
    import aiohttp

_MAX_REPLY = 64 * 2**20
_MAX_ERROR = 64 * 2**10
_CONNECT_S = 30.0
_GET_S = 10.0


class Endpoint:
    """An address to which JSON is posted.

    `url` is http or https without user, password, query and fragment, since it is written into records and settings.
    `key` says where its key is found, by the first call. Redirects are not followed. Proxies of the environment are
    used. `timeout_s` is for one call from its start to the last byte. Raises UsageError for any other URL.
    """

    def __init__(self, url: str, *, concurrency: int, timeout_s: float, key: KeySource | None = None) -> None:
        import aiohttp

        self.url = canonical_address(url)
        self._pace = Pace(concurrency, timeout_s)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._keys = key or KeySource()
        self._key: str | None = None
        self._headers: dict[str, str] = {}
        self._proxy = Proxy()

    @property
    def pace(self) -> Pace:
        """Gives a turn to each call."""
        return self._pace

    async def post(
        self, path: str, body: bytes, *, content_type: str = "application/json", root: bool = False
    ) -> bytes:
        """The body of the answer; `root` leaves out the `/v1` of the address.

        Raises RequestFailed, NoConnection, RequestRejected, or what ends the run (`faults.fault_of`).
        """
        import aiohttp

        base = self.url.removesuffix("/v1") if root else self.url
        # A payload as such: from bare bytes, aiohttp looks for the kind of payload that takes them (18 calls).
        payload = aiohttp.BytesPayload(body, content_type=content_type)
        return await self._request("POST", base + path, payload, self._timeout)

    async def get(self, path: str) -> bytes:
        """As `post`, within 10 seconds."""
        import aiohttp

        return await self._request("GET", self.url + path, None, aiohttp.ClientTimeout(total=_GET_S))

    async def _request(
        self,
        method: str,
        url: str,
        body: aiohttp.BytesPayload | None,
        within: aiohttp.ClientTimeout,
    ) -> bytes:
        import aiohttp

        session = self._session or self._open()
        proxy = self._proxy
        try:
            async with session.request(
                method,
                url,
                data=body,
                headers=self._headers,
                timeout=within,
                allow_redirects=False,
                proxy=proxy.url,
                proxy_headers=proxy.headers if proxy.url else None,
            ) as response:
                limit = _MAX_REPLY if response.status == 200 else _MAX_ERROR
                data = _redacted(await _read(response, limit), self._key)
        except aiohttp.ClientConnectorError as error:
            why = getattr(error, "os_error", error)  # errors of certificates have none
            raise NoConnection("unreachable", f"no connection to {self.url}{proxy}: {why}") from error
        except aiohttp.ClientHttpProxyError as error:
            raise UsageError(
                f"the proxy refuses the way to {self.url}{proxy}: {error.status} {error.message}"
            ) from None
        except TimeoutError as error:
            raise RequestFailed("timeout", f"{self.url} did not answer within {within.total:g} s") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise RequestFailed("connection", f"{self.url} broke off: {type(error).__name__}: {error}") from error
        if response.status == 200:
            return data
        raw = data.decode("utf-8", "replace")
        raise fault_of(self.url, response.status, response.headers.get("Retry-After"), raw, self._keys.advice)

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._key = self._keys.read()
        self._proxy = proxy_for(self.url)
        # Not headers of the session: those aiohttp shows to a proxy too, in clear text.
        self._headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        if not self.url.startswith("https:"):  # no tunnel: the proxy reads the request itself
            self._headers |= self._proxy.headers
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # `pace` is the limit
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body of a reply, or the first part of an error's. Raises RequestFailed where a reply is over the
    limit."""
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
    if not key or len(key) < 8:
        return data
    for form in {key, json.dumps(key)[1:-1], key.replace("/", "\\/"), quote(key, safe="")}:
        data = data.replace(form.encode(), b"***")
    return data
