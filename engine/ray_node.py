"""What one node of a cluster does: the processes of a pool, driven from afar. Everything here runs in Ray's actors."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from hardcut.engine.pool import Call, WorkerPool
from hardcut.schemas.errors import ItemError


class NodeWorkers:
    """The worker processes of a node. A call hangs, crashes and is cancelled as in a pool of one machine."""

    def __init__(self, workers: int, timeout_s: float) -> None:
        self._pool = WorkerPool(workers, timeout_s)

    def versions(self, packages: Iterable[str]) -> Mapping[str, str | None]:
        """The versions of packages on this node, None for what is not installed."""
        return {name: _version(name) for name in packages}

    async def carry_out(self, name: str, body: bytes, limit_s: float | None) -> bytes:
        """The reply to a call, also where it failed: an error that is raised here would be Ray's."""
        try:
            return await self._pool.carry_out(Call(name, body, limit_s))
        except ItemError as error:
            return pickle.dumps((error, f"on node {socket.gethostname()}"))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
