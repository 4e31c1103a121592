"""Keeps a reviewer's browser on this server: Argilla's page asks Google for fonts, which tells it who reviews when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
POLICY = b"style-src 'self' 'unsafe-inline'; font-src 'self' data:"
"""Only what is named here is held to this server; clips and pages are as they were."""


class OwnFonts:
    """The application behind it, whose pages (HTML) carry `POLICY`."""

    def __init__(self, behind: App) -> None:
        self._behind = behind

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if any(name.lower() == b"content-type" and b"text/html" in value for name, value in headers):
                    message = {**message, "headers": [*headers, (b"content-security-policy", POLICY)]}
            await send(message)

        await self._behind(scope, receive, with_policy if scope["type"] == "http" else send)
