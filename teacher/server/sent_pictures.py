"""The pictures of questions about one video: sent whole the first time, and by name where the server has kept them.

vLLM keeps a picture under the `uuid` that stands beside it, and takes the name alone from then on. It trusts the name,
so a name is the digest of the picture. What it has let go of it refuses, which costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from hardcut.media.frames import Frame
from hardcut.schemas.errors import ItemError
from hardcut.teacher.server.request import media_parts, named_parts

_REMEMBERED = 65536
"""Pictures of which is known that a server has had them: 64 bytes each."""


class Arrived:
    """Which pictures a server has had, by digest, the latest ones."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def has(self, digests: Sequence[str]) -> bool:
        return all(digest in self._known for digest in digests)

    def note(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._known[digest] = None
            self._known.move_to_end(digest)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._known.pop(digest, None)


class Pictures:
    """What is shown with some questions, each picture after its text. `arrived` is what the server has had; None where
    it knows no names."""

    def __init__(self, pictures: Sequence[tuple[str, Frame]] = (), arrived: Arrived | None = None) -> None:
        self._pictures = pictures
        self._digests = [frame.sha256 for _, frame in pictures]
        self._arrived = arrived if pictures else None
        self._whole = b""

    def __bool__(self) -> bool:
        return bool(self._pictures)

    @property
    def to_come(self) -> bool:
        """Whether the server knows names, and has not had all of these yet."""
        return self._arrived is not None and not self._arrived.has(self._digests)

    async def read(self) -> None:
        """Reads and encodes what must be sent whole, beside the event loop. Raises ItemError."""
        if self._pictures and (self._arrived is None or self.to_come):
            await asyncio.to_thread(self._encode)

    def parts(self) -> bytes:
        """The parts of a message. Raises ItemError."""
        if self._arrived is not None and self._arrived.has(self._digests):
            return named_parts(self._pictures)
        self._encode()
        return self._whole

    def note(self) -> None:
        """The server has answered, so it has had them."""
        if self._arrived is not None:
            self._arrived.note(self._digests)

    def lost(self, sent: bytes) -> bool:
        """Whether what was refused were names alone, which the server may have let go of: then they are sent whole."""
        if self._arrived is None or sent != named_parts(self._pictures):
            return False
        self._arrived.forget(self._digests)
        return True

    def _encode(self) -> None:
        if self._whole or not self._pictures:
            return
        try:
            self._whole = media_parts(self._pictures, named=self._arrived is not None)
        except OSError as error:
            raise ItemError("frames", f"a stored frame cannot be read: {error}") from error
