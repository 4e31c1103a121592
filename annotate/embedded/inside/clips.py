"""Serves the clips of one folder: to everybody who has a clip's link or is logged in.

It stands in front of the server's own application: that compresses every answer, which breaks ranges.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from hardcut.annotate.embedded.inside.keys import PREFIX, linked_name

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".vtt": "text/vtt",
}
"""What a preview may be; nothing else is served, and nothing under another type."""
_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class Clips:
    """The application that answers below `/media/` and hands everything else on."""

    def __init__(
        self, behind: App, folder: Path, owner_key: str, is_logged_in: Callable[[Request], Awaitable[bool]]
    ) -> None:
        self._behind = behind
        self._folder = folder.resolve()
        self._owner_key = owner_key
        self._is_logged_in = is_logged_in

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._behind(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("only GET and HEAD", 405, {"Allow": "GET, HEAD"})
        path = request.scope["path"].removeprefix(PREFIX)
        name = linked_name(self._owner_key, path)
        if name is None:
            if not await self._is_logged_in(request):
                return PlainTextResponse("log in, or use the clip's link", 401)
            name = path
        file = find(self._folder, name)
        if file is None:
            return PlainTextResponse("no such clip", 404)
        return FileResponse(file, headers=_HEADERS, media_type=_TYPES[file.suffix.lower()], stat_result=file.stat())


def find(folder: Path, name: str) -> Path | None:
    """The file of that name in the folder (resolved); None where there is none, or the name leads elsewhere.

    No segment may be empty or begin with a dot, no link may lead out of the folder, and only previews are files here.
    """
    segments = name.split("/")
    if any(not part or part.startswith(".") for part in segments) or "\\" in name or "\0" in name:
        return None
    try:
        file = folder.joinpath(*segments).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # not there; a name that no file can have; a ring of links
        return None
    if not file.is_relative_to(folder) or not file.is_file() or file.suffix.lower() not in _TYPES:
        return None
    return file
