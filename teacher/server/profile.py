"""What an endpoint can do: learned once by a few small questions, and kept in the cache folder.

Kept under model, address and version of Hardcut. What is learned later from a refusal is added to it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

import hardcut
from hardcut.engine.files import atomic_writer, storage_error
from hardcut.schemas.addresses import canonical_address
from hardcut.schemas.ids import digest
from hardcut.teacher.server.dialect import FIRST_GUESS, Dialect

Logprobs = Literal["by id", "top", "none"]
"""Log-probabilities of tokens that are asked for by id, of the most likely tokens, or of none."""

_VERSION = 1
"""Counted up when other things are asked, or read otherwise."""
_LOOKS_AGAIN_S = 0.05
_FORMS = {
    "schema": "JSON Schema",
    "loose": "JSON Schema that need not hold",
    "object": "any JSON object",
    "text": "no structured output",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What an endpoint can do. `dialect` is how it wants to be asked.

    `structured`: whether it was asked for a structured reply, so that the dialect's form is known. `logprobs`: what a
    judge is given. `pictures`: whether it takes them, and `names`: whether it keeps them under a name (`uuid`).
    `usage`: whether it counts tokens. `thoughts`: the field of its thoughts, `unseen` where they are only counted,
    empty where it has none apart. None is what nobody has asked yet, or what its answers left open.
    """

    dialect: Dialect = FIRST_GUESS
    structured: bool = False
    logprobs: Logprobs | None = None
    pictures: bool | None = None
    usage: bool | None = None
    thoughts: str = ""
    names: bool | None = None

    def __str__(self) -> str:
        """In one line, for people."""
        how = self.dialect
        top = f"the {how.most_top} likeliest"
        logprobs = {None: "not asked", "by id": "by token id", "top": top, "none": "none"}[self.logprobs]
        pictures = {None: "pictures not asked", True: "takes pictures", False: "text only"}[self.pictures]
        usage = {None: "usage not known", True: "counts tokens", False: "counts no tokens"}[self.usage]
        without = [name for name in ("temperature", "seed", "stop", "system") if not getattr(how, name)]
        parts = [
            _FORMS[how.form] if self.structured else "structured output not asked",
            f"log-probabilities: {logprobs}",
            pictures,
            usage,
            "keeps pictures" if self.names else "",
            how.limit,
            "" if how.parts else "content as a string",
            "a stream only" if how.stream else "",
            f"no {', '.join(without)}" if without else "",
            {"": "", "unseen": "thinks unseen"}.get(self.thoughts, f"thoughts in {self.thoughts}"),
        ]
        return "; ".join(filter(None, parts))


class Profiles:
    """The profiles that are kept in a folder, one file each: of endpoints that are asked with these `extra` fields."""

    def __init__(self, folder: Path, extra: str | None = None) -> None:
        self._folder = folder
        self._extra = extra

    @asynccontextmanager
    async def turn(self, model: str, url: str) -> AsyncIterator[None]:
        """One process after the other learns of an endpoint, so that the later ones find what the first has kept. Ends
        with the process, also when it is killed. Raises StorageError."""
        path = self._file(model, url).with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error(path, error) from error
        try:
            while not _taken(lock):  # noqa: ASYNC110 (another process wakes nobody here)
                await asyncio.sleep(_LOOKS_AGAIN_S)
            yield
        finally:
            os.close(lock)

    def find(self, model: str, url: str) -> Profile | None:
        """None for an endpoint that was not asked yet, and where what is kept cannot be read: it is asked again."""
        try:
            return _DECODER.decode(self._file(model, url).read_bytes()).profile
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def keep(self, model: str, url: str, profile: Profile) -> None:
        """Raises StorageError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_writer(self._file(model, url), "wb") as file:
            file.write(msgspec.json.encode(_Kept(model, canonical_address(url), profile)))

    def _file(self, model: str, url: str) -> Path:
        asked = [self._extra] if self._extra else []
        return self._folder / f"{digest(_VERSION, hardcut.__version__, model, canonical_address(url), *asked)}.json"


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Kept:
    """A profile as it stands in its file, which says whose it is."""

    model: str
    address: str
    profile: Profile


_DECODER = msgspec.json.Decoder(_Kept)
