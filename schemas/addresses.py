"""Addresses of servers in names of teachers. Each server has one spelling."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from hardcut.schemas.errors import UsageError

_AT = re.compile(r"(?P<model>.+?)@(?P<url>[A-Za-z][A-Za-z0-9+.-]*://.+)", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def model_and_address(text: str) -> tuple[str, str] | None:
    """The two parts of `MODEL@URL`; None for anything else. A model's name may hold an `@`."""
    match = _AT.fullmatch(text)
    return (match["model"], match["url"]) if match else None


@lru_cache(maxsize=256)
def canonical_address(url: str) -> str:
    """One spelling for one address: scheme and host in small letters, no default port, no slash at the end.

    Raises UsageError for an address that is not plain http, or has a user, a password, a query or a fragment, since
    addresses are written into records and settings. The message repeats no password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"the server's address is not a URL: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise UsageError("the server's address must begin with http:// or https:// and name a host")
    name = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        name += f":{port}"
    address = f"{parts.scheme}://{name}{parts.path}".rstrip("/")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "the server's address must not carry user, password, query or fragment, since it is written into files: "
            f"give {address}, and a key in an environment variable, such as HARDCUT_API_KEY"
        )
    return address


def host_of(address: str) -> str:
    """Scheme, host and port of an address. A key belongs to these. Raises UsageError as `canonical_address`."""
    parts = urlsplit(canonical_address(address))
    return f"{parts.scheme}://{parts.netloc}"


def canonical_name(name: str) -> str:
    """`BACKEND:MODEL@URL` with the address in its one spelling; other names as they are."""
    backend, colon, rest = name.partition(":")
    found = model_and_address(rest)
    if not colon or found is None:
        return name
    try:
        return f"{backend}:{found[0]}@{canonical_address(found[1])}"
    except UsageError:  # nobody could be asked there, so it is the name of nothing else either
        return name
