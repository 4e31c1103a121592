"""The pool over a cluster: three nodes on this machine, which hang, crash, are lost and come."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.pool import Home, home
from hardcut.engine.ray_cluster import RayCluster
from hardcut.engine.ray_pool import RayPool
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError

# Workers import this by name: functions of a test module are not importable in them.
sys.path.insert(0, str(Path(__file__).parent))
import pool_work as work


@pytest.fixture(scope="module")
def cluster(ray_nodes: Callable[..., Any]) -> Iterator[tuple[Any, RayCluster]]:
    with ray_nodes(3, cpus=2, path=(Path(__file__).parent,)) as nodes, RayCluster(nodes.address) as joined:
        yield nodes, joined


async def settled(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def all_there(pool: RayPool, nodes: int) -> None:
    """Each node has its processes: on a busy machine one may start long after the others."""
    async with asyncio.timeout(90):
        while len(pool._places) < nodes:
            await pool.call(work.slow_square, 1)


async def test_calls_and_what_they_raise(cluster: tuple[Any, RayCluster]) -> None:
    with RayPool(cluster[1], None, 60.0) as pool:
        assert pool.places == 6
        assert await settled(*(pool.call(work.square, n) for n in range(40))) == [n * n for n in range(40)]
        with pytest.raises(ItemError) as caught:
            await pool.call(work.fail, "item")
        assert (caught.value.reason, caught.value.detail, caught.value.raw) == ("damaged", "no frames", "moov")
        assert "pool_work.py" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="Unpicklable: 1 2"):
            await pool.call(work.fail, "unpicklable")
        with pytest.raises(SystemExit):
            await pool.call(work.fail, "exit")


async def test_hang_and_crash_cost_only_themselves(cluster: tuple[Any, RayCluster]) -> None:
    with RayPool(cluster[1], None, 60.0) as pool:
        good = [pool.call(work.slow_square, n) for n in range(12)]
        bad = [pool.call(work.hang, timeout_s=0.5), pool.call(work.leave, 7), pool.call(work.die, signal.SIGKILL)]
        results = await settled(*good[:6], *bad, *good[6:])
    assert [*results[:6], *results[9:]] == [n * n for n in range(12)]
    assert [error.reason for error in results[6:9]] == ["timeout", "crashed", "crashed"]
    assert "took longer than 0.5 s" in results[6].detail and "SIGKILL" in results[8].detail


async def test_cancelling_kills_the_work(cluster: tuple[Any, RayCluster], tmp_path: Path) -> None:
    with RayPool(cluster[1], None, 60.0) as pool:
        await pool.call(work.square, 1)
        task = asyncio.create_task(pool.call(work.write_after, str(tmp_path / "written"), 2.0))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(2.5)
        assert not (tmp_path / "written").exists()
        assert await pool.call(work.square, 2) == 4, "the pool goes on"


async def test_a_unit_stays_on_its_node(cluster: tuple[Any, RayCluster]) -> None:
    async def unit(pool: RayPool, name: str) -> list[str | None]:
        about = Home(name)
        home.set(about)
        nodes = []
        for number in range(4):
            await pool.call(work.square, number)
            nodes.append(about.node)
        return nodes

    with RayPool(cluster[1], None, 60.0) as pool:
        await all_there(pool, 3)
        found = [
            await unit(pool, f"video{number}") for number in range(40)
        ]  # that a node gets none is hardly by chance
    assert all(len(set(nodes)) == 1 and nodes[0] for nodes in found)
    homes = {nodes[0] for nodes in found}
    assert homes == {f"{node.id}-1" for node in cluster[1].nodes() if node.cpus}, "the same in every start"


async def test_a_node_with_other_versions_ends_the_run(cluster: tuple[Any, RayCluster]) -> None:
    with (
        RayPool(cluster[1], None, 60.0, {"hardcut": "0.0.1", "no-such-package": "7"}) as pool,
        pytest.raises(UsageError, match=r"hardcut .* \(0.0.1 here\), no-such-package missing \(7 here\): install"),
    ):
        await pool.call(work.square, 1)


async def test_what_a_lost_node_had_is_done_elsewhere(cluster: tuple[Any, RayCluster], tmp_path: Path) -> None:
    nodes, joined = cluster
    log = tmp_path / "log"
    with RayPool(joined, None, 60.0) as pool:
        await all_there(pool, 3)
        calls = [asyncio.create_task(pool.call(work.note, str(log), f"{n}", 0.2)) for n in range(60)]
        await asyncio.sleep(0.7)
        await asyncio.to_thread(nodes.kill, 1)
        await asyncio.to_thread(nodes.add)
        assert await settled(*calls) == [None] * 60
        done = log.read_text().split()
        assert set(done) == {str(n) for n in range(60)}
        assert len(done) <= 60 + 2, "only what the node had in flight is done twice"
        await all_there(pool, 3)
        assert len(pool._places) == 3, "a node that comes is used"


async def test_processes_that_die_on_a_living_node_are_started_again(cluster: tuple[Any, RayCluster]) -> None:
    with RayPool(cluster[1], 1, 60.0) as pool:
        await pool.call(work.square, 1)
        for member in list(pool._members.values()):
            joined = cluster[1]
            joined.ray.kill(member.actor)
        assert await pool.call(work.square, 3) == 9


async def test_without_nodes_the_run_ends(cluster: tuple[Any, RayCluster], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardcut.engine.ray_pool._PATIENCE_S", 1.0)
    monkeypatch.setattr(RayPool, "_workers_of", lambda pool, node: 0)
    with (
        RayPool(cluster[1], None, 60.0) as pool,
        pytest.raises(MissingDependency, match=r"there are \d\): start nodes"),
    ):
        await pool.call(work.square, 1)


def test_what_cannot_be_joined_is_told(ray_nodes: Callable[..., Any]) -> None:
    for wrong in ("ray://127.0.0.1:1", "somewhere", ":6379"):
        with pytest.raises(UsageError, match="give HOST:PORT of the cluster's head, or auto"):
            RayCluster(wrong)
    with pytest.raises(MissingDependency, match=r"--ray 127.0.0.1:1: .*refused.*`ray start`"):
        RayCluster("127.0.0.1:1")
