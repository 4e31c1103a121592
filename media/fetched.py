"""The files of a collection that do not lie in a folder: each is fetched when it is asked for, and held while it is
read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hardcut.engine.retry import Transient, with_retries
from hardcut.media.file_cache import FileCache, Held, Origin
from hardcut.schemas.errors import ItemError

_ATTEMPTS = 4


class FetchedFiles:
    """Files by their names in the collection, `at_once` of which are fetched at one time.

    A file is under `root` for as long as it is held; then others may take its room.
    """

    def __init__(self, cache: FileCache, origins: Mapping[str, Origin], at_once: int) -> None:
        self.root: Path = cache.files
        self._cache = cache
        self._origins = origins
        self._threads = ThreadPoolExecutor(at_once, "fetching")

    @asynccontextmanager
    async def held(self, *files: tuple[str, str | None]) -> AsyncIterator[Sequence[Held]]:
        """The files of these names, where they are known with these digests.

        Name the largest last: nobody then holds a large file and waits for room. Raises ItemError: unreachable,
        changed (it has another digest), too_large, and what the origin says; StorageError.
        """
        async with AsyncExitStack() as stack:
            taken = []
            for relative, sha256 in files:
                held = await self._hold(relative)
                stack.callback(held.release)
                if sha256 is not None and held.sha256 != sha256:
                    raise ItemError("changed", f"{relative} changed during the run: start the run again")
                taken.append(held)
            yield taken

    async def _hold(self, relative: str) -> Held:
        origin = self._origins[relative]
        try:
            if there := self._cache.resident(relative, origin):
                return there
            return await with_retries(lambda: self._fetch(relative, origin), attempts=_ATTEMPTS)
        except Transient as error:
            raise ItemError("unreachable", f"{error}: start the run again with --retry-failed") from error

    async def _fetch(self, relative: str, origin: Origin) -> Held:
        """In a thread. One that nobody waits for any more lets go of what it has."""
        stop = threading.Event()
        fetching = self._threads.submit(self._cache.hold, relative, origin, stop)
        try:
            return await asyncio.shield(asyncio.wrap_future(fetching))
        except asyncio.CancelledError:
            stop.set()
            fetching.add_done_callback(_let_go)
            raise

    def read(self, names: Sequence[str]) -> dict[str, bytes | ItemError]:
        """The content of small files, such as sidecars, or why it cannot be read. Blocks; works inside of a running
        event loop too. Raises StorageError."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self._read(names))).result()

    async def _read(self, names: Sequence[str]) -> dict[str, bytes | ItemError]:
        async def one(name: str) -> None:
            try:
                async with self.held((name, None)) as [held]:
                    found[name] = held.path.read_bytes()
            except ItemError as error:
                found[name] = error

        found: dict[str, bytes | ItemError] = {}
        await asyncio.gather(*(one(name) for name in names))
        return found


def _let_go(done: Future[Held]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().release()
