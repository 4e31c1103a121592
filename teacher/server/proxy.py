"""The proxy on the way to a server, out of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

Not by aiohttp's `trust_env`, which reads ~/.netrc too and would send whatever key stands there.
"""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from hardcut.schemas.errors import UsageError


@dataclass(frozen=True, slots=True)
class Proxy:
    """Its address without user and password, which are in `headers`: those of a request that goes through a tunnel are
    for the proxy alone, so they are apart. None at all where the way is direct."""

    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f" (by the proxy {self.url})" if self.url else ""


def proxy_for(address: str) -> Proxy:
    """The proxy for a server's address; none for a loopback address, whatever the environment says. Raises UsageError
    for a proxy that is not spoken to by HTTP; the message repeats no password."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if _is_loopback(host) or urllib.request.proxy_bypass(parts.netloc):
        return Proxy()
    given = urllib.request.getproxies().get(parts.scheme)
    if not given:
        return Proxy()
    try:
        proxy = urlsplit(given if "://" in given else f"http://{given}")
        name, port = proxy.hostname, proxy.port
    except ValueError:
        name, port = None, None
    if name is None or proxy.scheme not in ("http", "https"):
        raise UsageError(
            f"the environment variable {parts.scheme}_proxy names no http proxy, which alone is supported: "
            f"mend it, or put {host} into no_proxy"
        )
    at = (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")
    headers = {}
    if proxy.username:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return Proxy(f"{proxy.scheme}://{at}", headers)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or address.is_unspecified or bool(mapped and mapped.is_loopback)
