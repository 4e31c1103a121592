"""A list of addresses of videos: `.txt` with one a line, `.csv` or `.jsonl` with a column `url`.

`path` names the file in the collection (default: the last part of the address), `video_id` its id; everything else is
metadata. A subtitle file is a line of its own, named as it would lie beside its video.

Only http and https are fetched, and only from hosts that the settings allow, after a redirect too. A line that cannot
be used costs itself only. Messages name list and line and no address: addresses may be signed.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import JsonValue

from hardcut.engine.retry import Transient
from hardcut.media.beside import SUBTITLE_SUFFIXES
from hardcut.media.file_cache import Opened
from hardcut.media.manifest import ManifestEntry, given_id, read_rows, relative_path
from hardcut.media.video_files import VIDEO_SUFFIXES
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.ids import digest

LISTS = (".txt", ".csv", ".jsonl")
_PIECE = 2**20
_SILENCE_S = 60.0
"""A server that says nothing for so long is given up."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Line(NamedTuple):
    """A file of the list."""

    relative: str
    entry: ManifestEntry
    origin: ListedUrl


class BadLine(NamedTuple):
    """A line that is not taken: its name, a stable word and a sentence."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ListedUrl:
    """A file at an address. `where` is its line in the list."""

    url: str
    where: str
    allowed: tuple[str, ...]

    @property
    def state(self) -> str:
        """The address alone: nobody is asked whether the file is another one by now."""
        return digest(self.url)

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Asks for the file. Raises ItemError: refused, host_not_allowed; Transient."""
        request = urllib.request.Request(self.url, headers={"User-Agent": "hardcut", "Accept-Encoding": "identity"})
        with self._errors():
            answer = _opener(self.allowed, self.where).open(request, timeout=_SILENCE_S)
        with answer:
            length = answer.headers.get("Content-Length", "")
            yield Opened(int(length) if length.isdigit() else None, self._pieces(answer))

    def _pieces(self, answer: IO[bytes]) -> Iterator[bytes]:
        while True:
            with self._errors():
                piece = answer.read(_PIECE)
            if not piece:
                return
            yield piece

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except urllib.error.HTTPError as error:
            said = f"{self.where}: the server says {error.code} {http.client.responses.get(error.code, '')}"
            if error.code in _PASSING:
                after = error.headers.get("Retry-After", "")
                raise Transient(said, float(after) if after.isdigit() else None) from error
            raise ItemError("refused", f"{said}: correct or remove the line") from error
        except urllib.error.URLError as error:
            raise Transient(f"{self.where}: the server cannot be reached ({_told(error.reason)})") from error
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{self.where}: the connection broke off ({_told(error)})") from error
        except ValueError as error:
            raise ItemError("not_a_url", f"{self.where}: no address that can be asked: correct the line") from error


def read_list(file: Path, allowed: Sequence[str]) -> tuple[list[Line], list[BadLine]]:
    """The lines of a list, and those that are not taken. Asks nobody.

    `allowed` are names of hosts; `*.example.org` stands for all below it. Raises UsageError where the file is no list,
    or no host is allowed.
    """
    if not allowed:
        raise UsageError(f"{file}: a list of addresses needs the hosts that may be asked: set sources.allow_hosts")
    lines: dict[str, Line] = {}
    bad: list[BadLine] = []
    try:
        for number, row in _rows(file):
            where = f"{file.name}, line {number}"
            found = _line(row, where, tuple(allowed))
            if isinstance(found, Line) and found.relative in lines:
                other = lines[found.relative].entry.where
                found = BadLine(where, "listed_twice", f"{found.relative} is in {other} too: give it another `path`")
            if isinstance(found, Line):
                lines[found.relative] = found
            else:
                bad.append(found)
    except OSError as error:
        raise UsageError(f"{file}: the list cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    return list(lines.values()), bad


def _rows(file: Path) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    if file.suffix.lower() != ".txt":
        yield from read_rows(file, "url")
        return
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                yield number, {"url": line.strip()}


def _line(row: dict[str, JsonValue], where: str, allowed: tuple[str, ...]) -> Line | BadLine:
    url = row.pop("url", None)
    try:
        parts = urlsplit(url) if isinstance(url, str) else SplitResult("", "", "", "", "")
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        usable = None
    if not isinstance(url, str) or not usable or any(c.isspace() or ord(c) < 32 for c in url):
        return BadLine(where, "not_a_url", "`url` must be an http or https address without a name and password")
    if not _is_allowed(parts.hostname, allowed):
        return BadLine(where, "host_not_allowed", f"{parts.hostname} is not among sources.allow_hosts: add it there")
    try:
        named = row.pop("path", None)
        relative = relative_path(unquote(PurePosixPath(parts.path).name) if named is None else named, where)
        entry = ManifestEntry(where, given_id(row, where), row)
    except UsageError as error:
        return BadLine(where, "unusable", str(error).removeprefix(f"{where}: "))
    if PurePosixPath(relative).suffix.lower() not in (*VIDEO_SUFFIXES, *SUBTITLE_SUFFIXES):
        return BadLine(where, "not_a_video", f"{relative} has no video's suffix: name it in a column `path`")
    return Line(relative, entry, ListedUrl(url, where, allowed))


def _is_allowed(host: str | None, allowed: Sequence[str]) -> bool:
    name = (host or "").lower().rstrip(".")
    return any(name == each.lower() or (each.startswith("*.") and name.endswith(each[1:].lower())) for each in allowed)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to a host that may be asked."""

    max_redirections = 5

    def __init__(self, allowed: Sequence[str], where: str) -> None:
        self._allowed = allowed
        self._where = where

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        parts = urlsplit(newurl)
        if parts.scheme not in ("http", "https") or not _is_allowed(parts.hostname, self._allowed):
            host = parts.hostname or parts.scheme
            detail = f"{self._where}: the server sends on to {host}, which is not among sources.allow_hosts"
            raise ItemError("host_not_allowed", detail)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(allowed: Sequence[str], where: str) -> urllib.request.OpenerDirector:
    """Opens http and https and nothing else: the usual one opens files too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(allowed, where),
    ):
        opener.add_handler(handler)
    return opener


def _told(error: Any) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
