"""A Ray cluster that this process is the driver of. The only place where Ray is started and left."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from hardcut.engine.closing import Closing
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import MissingDependency, UsageError

_ANSWER_S = 10.0
AUTO = "auto"
"""The cluster of this machine: the one that `ray start` joined it to, or a new one of this machine alone."""


class Node(NamedTuple):
    """A living node. `cpus` and `gpus` are what Ray was told that it has."""

    id: str
    name: str
    cpus: int
    gpus: int


class RayCluster(Closing):
    """Connected as long as it is open. A process that is connected to Ray already stays connected afterwards."""

    def __init__(self, address: str) -> None:
        """Raises MissingDependency, UsageError."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what runs here
        with needs("ray", "ray"):
            import ray
        if address != AUTO:
            _check_address(address)
        self.ray: Any = ray
        self._owned = not ray.is_initialized()
        if self._owned:
            try:
                ray.init(
                    address=None if address == AUTO else address,
                    namespace="hardcut",
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                    include_dashboard=False,
                )
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                raise _not_joined(address, error) from error

    def nodes(self) -> list[Node]:
        """All living nodes, by id."""
        return sorted(_node(each) for each in self.ray.nodes() if each["Alive"])

    @property
    def gpus(self) -> int:
        """Of all nodes together."""
        return sum(node.gpus for node in self.nodes())

    def close(self) -> None:
        """Leaves the cluster; one that was started for this process ends."""
        if self._owned:
            self.ray.shutdown()


def _check_address(address: str) -> None:
    """Raises UsageError for what is no address, and MissingDependency where nobody answers, at once: Ray itself would
    try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(
            f"--ray {address}: give HOST:PORT of the cluster's head, or auto; the run itself is a part of the cluster, "
            "so start it on one of the nodes"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise _not_joined(address, error) from error


def _not_joined(address: str, error: Exception) -> MissingDependency:
    said = str(error).strip() or type(error).__name__
    return MissingDependency(f"--ray {address}: {said}: start Ray on this machine (`ray start`), or give auto")


def _node(told: Mapping[str, Any]) -> Node:
    has = told["Resources"]
    return Node(told["NodeID"], told["NodeName"], int(has.get("CPU", 0)), int(has.get("GPU", 0)))
