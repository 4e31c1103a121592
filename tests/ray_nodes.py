"""A Ray cluster on this machine, in a process of its own, whose nodes can be killed and added. No part of Hardcut.

The head has no processors: the nodes do all work. Load it by its path (see conftest.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

TOKEN = {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
"""What processes of the cluster know each other by."""
_CODE = """
import sys
from ray.cluster_utils import Cluster

def few(cpus, gpus):
    return {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": 80_000_000, "include_dashboard": False}

cpus, gpus, count = map(int, sys.argv[1:])
cluster = Cluster(initialize_head=True, head_node_args=few(0, 0))
nodes = [cluster.add_node(**few(cpus, gpus)) for _ in range(count)]
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.startswith("kill"):
        cluster.remove_node(nodes.pop(int(line.split()[1])), allow_graceful=False)
    else:
        nodes.append(cluster.add_node(**few(cpus, gpus)))
    print("done", flush=True)
cluster.shutdown()
"""


class RayNodes:
    """`count` nodes with so many processors and (told) GPUs each. `address` is the cluster's."""

    def __init__(self, count: int, cpus: int = 1, gpus: int = 0, path: tuple[Path, ...] = ()) -> None:
        self.count = count
        self._line = [sys.executable, "-c", _CODE, str(cpus), str(gpus), str(count)]
        self._path = os.pathsep.join([*map(str, path), *(each for each in sys.path if each)])

    def __enter__(self) -> RayNodes:
        environment = {**os.environ, **TOKEN, "PYTHONPATH": self._path, "RAY_USAGE_STATS_ENABLED": "0"}
        self._process = subprocess.Popen(
            self._line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        self.address = self._said()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def kill(self, number: int) -> None:
        """Kills all processes of a node, as when its machine is lost."""
        self._tell(f"kill {number}")
        self.count -= 1

    def add(self) -> None:
        """A new node joins."""
        self._tell("add")
        self.count += 1

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)
        self._said()

    def _said(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        assert line, "the cluster did not start, or died"
        return line
