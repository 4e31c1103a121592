"""WebDataset tars: videos and sidecars as members, addressed by tar and offset. Nothing is unpacked.

A member's name is the file's name under the root, so the same files give the same ids in a folder and in tars. Links,
devices and names that leave the root are not taken. A tar is read once for its members, and known again by its state.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, Protocol

from hardcut.engine.files import atomic_writer
from hardcut.media.file_cache import Opened, Origin
from hardcut.media.remote import StoredRange, errors_of_stores
from hardcut.schemas.errors import ItemError
from hardcut.schemas.ids import digest

_PIECE = 2**20
_BLOCK = 2**16
"""Bytes that are read ahead of a remote tar's headers: small members come with them."""
_INDEX_VERSION = 1


class Member(NamedTuple):
    """A regular file in a tar, by where its bytes are."""

    name: str
    offset: int
    size: int


class Refused(NamedTuple):
    """A member that is not taken, or a fault of the tar itself (`name` is empty): a stable word and a sentence."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class TarIndex:
    """The members of a tar, in its order, and what of it is not taken."""

    members: tuple[Member, ...]
    refused: tuple[Refused, ...]


class Tar(Protocol):
    """A tar, wherever it lies. `name` is for messages, `state` changes with its content."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def size(self) -> int: ...
    def open(self) -> Any:
        """The file, to be read and sought in."""
        ...

    def member(self, member: Member) -> Origin: ...


@dataclass(frozen=True, slots=True)
class LocalTar:
    """A tar on this machine."""

    path: Path
    size: int
    state: str

    @property
    def name(self) -> str:
        return str(self.path)

    def open(self) -> IO[bytes]:
        return self.path.open("rb")

    def member(self, member: Member) -> LocalRange:
        return LocalRange(self.path, member.offset, member.size, f"{self.state}\0{member.offset}")


@dataclass(frozen=True, slots=True)
class StoredTar:
    """A tar in a store (`remote.py`)."""

    store: Any
    path: str
    size: int
    state: str

    @property
    def name(self) -> str:
        return self.path

    def open(self) -> Any:
        return self.store.open(self.path, "rb", block_size=_BLOCK)

    def member(self, member: Member) -> StoredRange:
        name = f"{PurePosixPath(self.path).name}, member {member.name}"
        state = f"{self.state}\0{member.offset}"
        return StoredRange(self.store, self.path, member.offset, member.size, state, self.state, name)


@dataclass(frozen=True, slots=True)
class LocalRange:
    """`size` bytes of a file on this machine, from `start` on."""

    path: Path
    start: int
    size: int
    state: str

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Raises ItemError: unreadable."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                yield Opened(self.size, self._pieces(file))
        except FileNotFoundError as error:
            raise ItemError("not_found", f"{self.path.name} is not there any more: start the run again") from error

    def _pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        left = self.size
        while left:
            try:
                piece = file.read(min(_PIECE, left))
            except OSError as error:
                raise ItemError("unreadable", f"{self.path.name}: {error.strerror}") from error
            if not piece:
                raise ItemError("changed", f"{self.path.name} is shorter by now: start the run again")
            left -= len(piece)
            yield piece


def read_index(tar: Tar, memory: Path) -> TarIndex:
    """The members of a tar, remembered in the folder `memory`. Raises ItemError, Transient."""
    note = memory / f"{digest(_INDEX_VERSION, tar.name, tar.size, tar.state)[:32]}.json"
    try:
        kept = json.loads(note.read_text("utf-8"))
        return TarIndex(
            tuple(Member(*each) for each in kept["members"]), tuple(Refused(*each) for each in kept["refused"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        index = _index(tar)
    memory.mkdir(parents=True, exist_ok=True)
    with atomic_writer(note) as file:
        json.dump(asdict(index), file)
    return index


def _index(tar: Tar) -> TarIndex:
    members: dict[str, Member] = {}
    refused: list[Refused] = []
    with errors_of_stores(tar.name), tar.open() as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as found:
                for each in found:
                    why = _unfit(each, tar.size)
                    if why is not None:
                        refused.append(why)
                    elif each.isreg():
                        name = str(PurePosixPath(each.name))
                        if name in members:
                            detail = "the tar has another file of this name behind it, and that one is taken"
                            refused.append(Refused(name, "replaced", detail))
                        members[name] = Member(name, each.offset_data, each.size)
                broken = _breaks_off(file, found.offset)
        except tarfile.TarError as error:
            broken = f"it is no tar, or a damaged one ({error})"
    if broken:
        refused.append(Refused("", "unreadable", f"{broken}: make it anew; its members before that are taken"))
    return TarIndex(tuple(members.values()), tuple(refused))


def _breaks_off(file: Any, offset: int) -> str | None:
    """Why the tar ends at `offset`, unless it is its end: the library takes a broken header for that."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if not block or not block.strip(b"\0"):
        return None
    return f"the header at byte {offset} is damaged"


def _unfit(member: tarfile.TarInfo, size: int) -> Refused | None:
    """Why a member is not taken; None also for folders, which are nothing of their own."""
    name = member.name
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return Refused(shown, "name_not_utf8", "the name is not UTF-8: rename it")
    if member.isdir():
        return None
    if name.startswith("/") or "\0" in name or ".." in PurePosixPath(name).parts or name in ("", "."):
        return Refused(name, "outside_root", "a name that leads out of the tar is not followed")
    if member.issym() or member.islnk():
        return Refused(name, "outside_root", "a link in a tar is not followed")
    if not member.isreg() or member.issparse():
        return Refused(name, "not_a_file", "a pipe, device or sparse file, not a file")
    if member.offset_data + member.size > size:
        return Refused(name, "unreadable", "the tar breaks off in this member: make it anew")
    return None
