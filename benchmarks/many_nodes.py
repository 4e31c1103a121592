"""What a run over a Ray cluster keeps, gains and costs, on nodes that are simulated on one machine.

    PYTHONPATH=. python benchmarks/many_nodes.py losses VIDEOS [--losses 20]
    PYTHONPATH=. python benchmarks/many_nodes.py scaling [--nodes 1 2 4]
    PYTHONPATH=. python benchmarks/many_nodes.py driver [--units 100000]

* `losses`: `hardcut run` over three nodes. Again and again a node drawn by chance is killed and a new one joins, or the
  run is killed and started again. Nodes decode, and look for nothing else, so that a new start does not take minutes.
  Compares the files with those of a run on one machine, and counts the calls that the server was asked twice.
* `scaling`: units that wait for 2 s in a process of a node (four a node) and for 0.5 s on a server. All that is
  measured is how many are under way at once: the machine's own processors are no limit then. `linear` is the
  throughput over that of one node times the nodes.
* `driver`: units that do nothing in a process of a node. What one costs the driver in processor time, and what memory
  they take, beside the same on one machine without Ray.

Writes `results/many_nodes.json`, each part its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.pool import Pool, WorkerPool
from hardcut.engine.ray_cluster import RayCluster
from hardcut.engine.ray_pool import RayPool
from hardcut.engine.stage import Output, Source, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.records import Pair
from tests.ray_nodes import TOKEN, RayNodes

RESULTS = Path(__file__).resolve().parent / "results" / "many_nodes.json"
NODE_S, SERVER_S, PLACES = 2.0, 0.5, 4
UNITS = 60
"""For each node."""
IN_FLIGHT = 8
_COMMAND = "import sys; from hardcut.cli.app import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("losses")
    part.add_argument("videos", type=Path)
    part.add_argument("--losses", type=int, default=20)
    part = parts.add_parser("scaling")
    part.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    part = parts.add_parser("driver")
    part.add_argument("--units", type=int, default=100_000)
    part.add_argument("--address")
    options = parser.parse_args()
    os.environ.update(TOKEN)
    if options.part == "losses":
        found: Any = losses(options.videos, options.losses)
    elif options.part == "scaling":
        found = scaling(options.nodes)
    elif options.address:  # a process of its own, so that nothing else is measured
        print(json.dumps(asyncio.run(driver(options.address, options.units))))
        return
    else:
        found = drivers(options.units)
    told = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    told["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    told[options.part] = found
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def losses(videos: Path, count: int) -> dict[str, Any]:
    """Loses nodes and drivers until `count` are gone; a run that ends before is begun anew."""
    from tests.teacher_server import TeacherServer

    dice = random.Random(2026)
    lost: dict[str, int] = {"node": 0, "driver": 0}
    rounds = []
    with tempfile.TemporaryDirectory() as scratch, RayNodes(3) as nodes, TeacherServer(latency_s=0.2) as server:
        # One server for all: records name the address that answered.
        subprocess.run(_line(videos, Path(scratch) / "here", server.url), check=True, env=_environment())
        wanted, calls = _files(Path(scratch) / "here"), server.total_served
        distinct = set(server.served)
        while sum(lost.values()) < count:
            out = Path(scratch) / f"there{len(rounds)}"
            before, already = dict(lost), server.total_served
            line = [*_line(videos, out, server.url), "--ray", nodes.address]
            while True:
                # Killed after so many more calls, not after so long: a loss hits work, however slow the machine is.
                at = server.total_served + dice.randrange(1, calls // 20)
                process = subprocess.Popen(line, env=_environment())
                while process.poll() is None and sum(lost.values()) < count:
                    if server.total_served >= at:
                        if dice.random() < 0.5:
                            process.kill()
                            lost["driver"] += 1
                            process.wait()
                            break
                        nodes.kill(dice.randrange(nodes.count))
                        lost["node"] += 1
                        nodes.add()
                        at = server.total_served + dice.randrange(1, calls // 20)
                    time.sleep(0.02)
                if process.wait() == 0:
                    break
            found = _files(out)
            rounds.append({
                "nodes_lost": lost["node"] - before["node"], "drivers_killed": lost["driver"] - before["driver"],
                "equal": found == wanted, "nothing_else_asked": set(server.served) == distinct,
                "calls": calls, "paid_twice": server.total_served - already - calls,
                "at_most": IN_FLIGHT * (lost["driver"] - before["driver"]),
            })  # fmt: skip
            print(json.dumps(rounds[-1]), flush=True)
            for name in wanted.keys() | found.keys():
                if wanted.get(name) != found.get(name):
                    print(f"{name} differs", file=sys.stderr, flush=True)
    assert all(each["equal"] and each["nothing_else_asked"] for each in rounds)
    assert all(each["paid_twice"] <= each["at_most"] for each in rounds)
    return {"lost": lost, "in_flight": IN_FLIGHT, "rounds": rounds}


def _line(videos: Path, out: Path, url: str) -> list[str]:
    config = out.with_suffix(".toml")
    config.write_text(
        '[evidence]\nocr = "off"\nshots = false\nmotion = false\n[media]\nfps = 1.0\nmax_frames = 4\n'
        f"[resources]\nconcurrency = {IN_FLIGHT}\n"
        f'[teacher]\nspec = "openai:judge@{url}"\nconcurrency = {IN_FLIGHT}\n'
    )
    folders = ["--out", str(out), "--cache", str(out.with_suffix(".cache")), "--config", str(config)]
    return [sys.executable, "-c", _COMMAND, "run", str(videos), *folders]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each), "OPENAI_API_KEY": "none"}


def _files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.jsonl"))}


class Sources:
    """Made as they are read."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[Source]:
        return (Source(f"video{number:07d}", "1", None) for number in range(self.size))


class Work:
    """Makes a pair of each video, after a call in a process, and one to a server where there is one."""

    kind, name, version, over = "unit", "work", 1, None
    reads: tuple[type[Record], ...] = ()
    makes: tuple[type[Record], ...] = (Pair,)
    settings: Mapping[str, Any] = {}

    def __init__(self, pool: Pool | None, seconds: float = 0.0, ask: Any = None) -> None:
        self._pool, self._seconds, self._ask = pool, seconds, ask

    async def run(self, unit: Unit) -> Output:
        if self._pool:
            await (self._pool.call(time.sleep, self._seconds) if self._seconds else self._pool.call(abs, -1))
        if self._ask:
            await self._ask()
        return Output(
            records=[Pair.create(query_id=f"q_{unit.id}", video_id=unit.id, origins=("source",), expected="yes")]
        )


async def carried_out(work: Work, units: int, concurrency: int) -> float:
    """The seconds that the engine takes."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        began = time.perf_counter()
        await Engine(ledger, concurrency=concurrency).run([work], Sources(units))  # type: ignore[list-item]
        return time.perf_counter() - began


def scaling(counts: list[int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for count in counts:
        with RayNodes(count, cpus=PLACES) as nodes:
            took = asyncio.run(_throughput(nodes.address, count))
        rows.append({"nodes": count, "units": UNITS * count, "units_per_s": round(UNITS * count / took, 2)})
        rows[-1]["linear"] = round(rows[-1]["units_per_s"] / (count * rows[0]["units_per_s"]), 3)
        rows[-1]["of_latency"] = round(rows[-1]["units_per_s"] / (count * PLACES / NODE_S), 3)
        print(json.dumps(rows[-1]), flush=True)
    return rows


async def _throughput(address: str, count: int) -> float:
    import aiohttp
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(SERVER_S)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000)) as session:

        async def ask() -> None:
            async with session.get(url) as response:
                await response.read()

        with RayCluster(address) as cluster, RayPool(cluster, None, 60.0) as pool:
            await carried_out(Work(pool, NODE_S, ask), 20 * count, 20 * count)  # all processes are up
            took = await carried_out(Work(pool, NODE_S, ask), UNITS * count, 4 * PLACES * count)
    await runner.cleanup()
    return took


def drivers(units: int) -> dict[str, Any]:
    line = [sys.executable, str(Path(__file__)), "driver", "--units", str(units), "--address"]
    found = {}
    with RayNodes(3, cpus=2) as nodes:
        for name, address in {"without processes": "none", "one machine": "local", "ray": nodes.address}.items():
            done = subprocess.run([*line, address], env=_environment(), check=True, stdout=subprocess.PIPE, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            print(name, json.dumps(found[name]), flush=True)
    return found


async def driver(address: str, units: int) -> dict[str, Any]:
    """Processor time and memory of this process."""
    if address == "none":
        return await _cost(None, units)
    if address == "local":
        with WorkerPool(6, 60.0) as pool:
            return await _cost(pool, units)
    with RayCluster(address) as cluster, RayPool(cluster, None, 60.0) as there:
        return await _cost(there, units)


async def _cost(pool: Pool | None, units: int) -> dict[str, Any]:
    await carried_out(Work(pool), 500, 64)
    first, after = time.process_time(), []
    wall = time.perf_counter()
    for share in (0.1, 0.9):  # so that growth is seen
        await carried_out(Work(pool), int(units * share), 64)
        after.append(_resident_mib())
    cpu, wall = time.process_time() - first, time.perf_counter() - wall
    return {
        "units": units, "driver_cpu_ms_a_unit": round(1000 * cpu / units, 3), "units_per_s": round(units / wall),
        "resident_mib_after_a_tenth": after[0], "resident_mib_after_all": after[1],
    }  # fmt: skip


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


if __name__ == "__main__":
    main()
