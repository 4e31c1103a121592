"""The pool of a run over many machines: worker processes on all nodes of a Ray cluster.

The run itself stays what it is on one machine: one process, the driver, has legs, ledger, claims on replies, budget and
calls to servers. Only what would go to processes of this machine goes to those of other nodes. So all that a run
promises is kept by the same code.

An actor on each node has the node's processes. A call that a lost node had is begun again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from hardcut.engine.closing import Closing
from hardcut.engine.places import Places
from hardcut.engine.pool import Call, Home, home, result_of, urgency
from hardcut.engine.ray_cluster import Node, RayCluster
from hardcut.engine.ray_node import NodeWorkers
from hardcut.engine.stopwatch import waiting
from hardcut.schemas.errors import HardcutError, ItemError, MissingDependency, UsageError

T = TypeVar("T")

_LOSSES = 5
"""How often a call may lose its node before it is held to be what ends them."""
_WATCH_S = 2.0
"""How often nodes that came or went are looked for."""
_PATIENCE_S = 600.0
"""How long a run waits while no node of the cluster can work."""

_log = logging.getLogger(__name__)


class _Member(NamedTuple):
    """A node's processes. `key` tells them from those that the node had before."""

    key: str
    node: Node
    actor: Any


class RayPool(Closing):
    """Processes on every node of a cluster, `workers` on each; None: as many as Ray says the node has processors.

    Nodes may come and go. `versions` are packages that must be the same on all nodes, with their versions here: another
    library may give other results. To be made and closed in an event loop.
    """

    def __init__(
        self, cluster: RayCluster, workers: int | None, timeout_s: float, versions: Mapping[str, str] | None = None
    ) -> None:
        self._cluster = cluster
        self._workers = workers
        self._timeout_s = timeout_s
        self._versions = dict(versions or {})
        self._places = Places()
        self._members: dict[str, _Member] = {}
        """By their keys; also those that are still being started."""
        self._joined: Counter[str] = Counter()
        """How often each node did, by its id. So the key of one that was never lost is the same in every start, and so
        are the homes of units."""
        self._fault: HardcutError | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._watch())

    @property
    def places(self) -> int:
        """On the nodes that are there now."""
        return sum(self._workers_of(node) for node in self._cluster.nodes())

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """As `Pool.call`. Raises ItemError("lost") where nodes were lost again and again while they had the call, and
        MissingDependency where there has been no node for ten minutes."""
        call = Call.of(fn, args, timeout_s)
        about = home.get() or Home("")
        for _ in range(_LOSSES):
            if self._fault:
                raise self._fault
            with waiting():
                key = await self._places.take(urgency.get(), about.unit, about.node)
            reply = await self._carry_out(key, call)
            if reply is not None:
                about.node = key
                return cast(T, result_of(reply))
        raise ItemError(
            "lost", f"{call.name}: {_LOSSES} times the node that did it was lost: --retry-failed tries it again"
        )

    def close(self) -> None:
        """Ends the processes on all nodes, also in the middle of a call."""
        for task in self._tasks:
            task.cancel()
        for member in self._members.values():
            self._cluster.ray.kill(member.actor)
        self._members.clear()

    async def _carry_out(self, key: str, call: Call) -> bytes | None:
        """The reply of the node's processes; None where the node was lost."""
        member = self._members.get(key)
        if member is None:
            return None
        reference = member.actor.carry_out.remote(*call)
        try:
            reply: bytes = await reference
        except asyncio.CancelledError:
            self._cluster.ray.cancel(reference)
            raise
        except self._cluster.ray.exceptions.RayTaskError:
            raise
        except self._cluster.ray.exceptions.RayError as error:
            self._lose(member, error)
            return None
        finally:
            self._places.give_back(key)
        return reply

    async def _watch(self) -> None:
        """Follows the nodes of the cluster."""
        loop = asyncio.get_running_loop()
        worked = loop.time()
        while True:
            alive = {node.id: node for node in await asyncio.to_thread(self._cluster.nodes)}
            for member in list(self._members.values()):
                if member.node.id not in alive:
                    self._lose(member, "it is gone")
            for id in alive.keys() - {member.node.id for member in self._members.values()}:
                if self._workers_of(alive[id]):
                    self._join(alive[id])
            if self._places:
                worked = loop.time()
            elif loop.time() - worked > _PATIENCE_S:
                self._fail(MissingDependency(
                    f"no node of the Ray cluster could work for {_PATIENCE_S:.0f} s (there are {len(alive)}): start "
                    "nodes with free processors, and start the run again: it goes on"
                ))  # fmt: skip
            await asyncio.sleep(_WATCH_S)

    def _workers_of(self, node: Node) -> int:
        return min(node.cpus, self._workers or node.cpus)

    def _join(self, node: Node) -> None:
        """Starts a node's processes. They take places once the node has the processors free."""
        ray, workers = self._cluster.ray, self._workers_of(node)
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        actor = ray.remote(NodeWorkers).options(
            num_cpus=workers, scheduling_strategy=affinity, max_concurrency=4 * workers, max_restarts=0
        ).remote(workers, self._timeout_s)  # fmt: skip
        self._joined[node.id] += 1
        member = _Member(f"{node.id}-{self._joined[node.id]}", node, actor)
        self._members[member.key] = member
        self._spawn(self._begin(member, workers))

    async def _begin(self, member: _Member, workers: int) -> None:
        try:
            found = await member.actor.versions.remote(list(self._versions))
        except self._cluster.ray.exceptions.RayError as error:
            self._lose(member, error)
            return
        others = [
            f"{name} {found[name] or 'missing'} ({own} here)"
            for name, own in self._versions.items()
            if found[name] != own
        ]
        if others:
            self._fail(UsageError(
                f"node {member.node.name} has other versions: {', '.join(others)}: install the same on all nodes, or "
                "results would depend on the node"
            ))  # fmt: skip
        elif member.key in self._members:
            self._places.add(member.key, workers)

    def _lose(self, member: _Member, why: object) -> None:
        """Takes a node out. Where it lives, `_watch` starts new processes on it."""
        if self._members.pop(member.key, None) is None:
            return
        self._places.remove(member.key)
        self._cluster.ray.kill(member.actor)
        _log.warning(
            "node %s was lost (%s): what it had is done elsewhere", member.node.name, str(why).partition("\n")[0]
        )

    def _fail(self, fault: HardcutError) -> None:
        """Ends the run: whoever waits for a place, and whoever comes."""
        self._fault = fault
        self._places.fail(fault)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("a fault in the pool on Ray", exc_info=error)
            self._fail(MissingDependency(f"the Ray cluster cannot be followed any more: {error}: start the run again"))
