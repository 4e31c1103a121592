"""Which call goes to which node of a cluster: places on nodes, and the calls that wait for one."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import zlib
from collections.abc import Iterable
from typing import NamedTuple


class _Waiting(NamedTuple):
    """A call that waits. The smallest goes first."""

    less_urgent: int
    came: int
    node: asyncio.Future[str]


class Places:
    """Places on nodes, each for one call at a time.

    A call goes to its home where that has a free place or gets one soon. A node that has nothing of its own to do takes
    the most urgent call of another: no place stands empty while a call waits. Of the calls that wait for a node the
    most urgent one goes first, and of several such the one that came first.
    """

    def __init__(self) -> None:
        self._free: dict[str, int] = {}
        self._waiting: dict[str, list[_Waiting]] = {}
        """By home. Those whose home was lost are under the empty name until any node takes them."""
        self._came = itertools.count()

    def __contains__(self, node: str) -> bool:
        return node in self._free

    def __len__(self) -> int:
        return len(self._free)

    def add(self, node: str, places: int) -> None:
        """A node is there. Calls that wait go to it."""
        self._free[node] = places
        for _ in range(places):
            if not self._hand_out(node):
                break

    def remove(self, node: str) -> None:
        """A node is gone. What waited for it waits for any."""
        self._free.pop(node, None)
        for call in self._waiting.pop(node, ()):
            heapq.heappush(self._waiting.setdefault("", []), call)

    async def take(self, urgency: int, unit: str, last: str | None) -> str:
        """The node that a call about `unit` goes to, `last` being the one that did the last call about it. Waits for a
        free place; the one that is taken is given back afterwards."""
        at = last if last in self._free else self._home(unit)
        node = at if at and self._free[at] else max(self._free, key=self._free.__getitem__, default=None)
        if node is not None and self._free[node]:
            self._free[node] -= 1
            return node
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting.setdefault(at or "", []), _Waiting(-urgency, next(self._came), found))
        try:
            return await found
        except asyncio.CancelledError:
            if not found.cancelled():
                self.give_back(found.result())
            raise

    def give_back(self, node: str) -> None:
        """A call has ended. Says nothing where the node is gone."""
        if node in self._free:
            self._free[node] += 1
            self._hand_out(node)

    def fail(self, error: Exception) -> None:
        """Raises an error in all calls that wait."""
        for call in itertools.chain.from_iterable(self._waiting.values()):
            if not call.node.done():
                call.node.set_exception(error)
        self._waiting.clear()

    def _home(self, unit: str) -> str | None:
        """By rendezvous hashing: where a node comes or goes, only its own units have another home."""
        return max(self._free, key=lambda node: zlib.crc32(f"{node} {unit}".encode()), default=None)

    def _hand_out(self, node: str) -> bool:
        """Gives a free place of the node to a call. False where none waits."""
        call = self._first((node, "")) or self._first(tuple(self._waiting))
        if call is None:
            return False
        self._free[node] -= 1
        call.node.set_result(node)
        return True

    def _first(self, homes: Iterable[str]) -> _Waiting | None:
        """Takes out the most urgent call that waits at one of these homes."""
        found: list[tuple[_Waiting, str]] = []
        for home in homes:
            calls = self._waiting.get(home, [])
            while calls and calls[0].node.done():  # cancelled
                heapq.heappop(calls)
            if calls:
                found.append((calls[0], home))
            else:
                self._waiting.pop(home, None)
        if not found:
            return None
        _, home = min(found, key=lambda each: each[0][:2])
        return heapq.heappop(self._waiting[home])
