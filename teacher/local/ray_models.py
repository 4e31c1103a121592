"""A model on several nodes of a Ray cluster: an engine for each GPU, or group of GPUs, that Ray gives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from hardcut.engine.ray_cluster import RayCluster
from hardcut.schemas.errors import HardcutError, UsageError
from hardcut.teacher.local.generation import GenerationFailed, ModelOptions, Prompt
from hardcut.teacher.local.process import Kind, ModelProcess, Results

_LOSSES = 3
"""How often what is asked may lose its engine before it is held to be what ends them."""
_PAUSE_S = 2.0
"""Between the loss of an engine and the start of another."""

_log = logging.getLogger(__name__)


class ModelNodes(NamedTuple):
    """A cluster, and how many engines each model in process has there."""

    cluster: RayCluster
    engines: int


class EngineNode:
    """In Ray's actor: a model in a process of its own, on the GPUs that the actor was given."""

    def __init__(self, kind: Kind, options: ModelOptions) -> None:
        self._process = ModelProcess(kind, options)

    def begin(self) -> None:
        """Returns once the actor is there."""

    async def generate(self, prompts: Sequence[Prompt]) -> Results | HardcutError:
        """As `ModelProcess.generate`; what that raises is returned."""
        try:
            return await self._process.generate(prompts)
        except HardcutError as error:
            return error


@dataclass(slots=True, eq=False)
class _Engine:
    """An actor and how many prompts it has. It takes some once it is `up`."""

    actor: Any
    prompts: int = 0
    up: bool = False


class RayModels:
    """As `ModelProcess`, on the engines of a cluster.

    What is asked goes to the engine that has least to do, at once: the queue of an engine keeps it fed, and one that is
    slow holds nobody. A lost engine is started again where there is room, and what it had is asked of another.

    `nodes` is asked when the first prompt comes: a run that asks nothing needs no cluster.
    """

    def __init__(self, kind: Kind, options: ModelOptions, nodes: Callable[[], ModelNodes]) -> None:
        self._nodes = nodes
        self._kind: Kind = kind
        self._options = options
        self._engines: list[_Engine] = []
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def _joined(self) -> ModelNodes:
        return self._nodes()

    async def generate(self, prompts: Sequence[Prompt]) -> Results:
        """As `ModelProcess.generate`."""
        if not prompts:
            return []
        while len(self._engines) < self._joined.engines:
            self._start()
        for _ in range(_LOSSES):
            engine = await self._least_loaded()
            engine.prompts += len(prompts)
            try:
                answer: Results | HardcutError = await engine.actor.generate.remote(tuple(prompts))
            except self._joined.cluster.ray.exceptions.RayTaskError:
                raise
            except self._joined.cluster.ray.exceptions.RayError as error:
                self._lose(engine, error)
                continue
            finally:
                engine.prompts -= len(prompts)
            if isinstance(answer, HardcutError):
                raise answer
            return answer
        said = f"{_LOSSES} times the engine of {self._kind}:{self._options.model} was lost: --retry-failed asks again"
        return [GenerationFailed("lost", said)]

    async def close(self) -> None:
        """Ends all engines, whatever they are doing."""
        for task in self._tasks:
            task.cancel()
        for engine in self._engines:
            self._joined.cluster.ray.kill(engine.actor)
        self._engines.clear()

    async def _least_loaded(self) -> _Engine:
        while not (up := [engine for engine in self._engines if engine.up]):
            self._changed.clear()
            await self._changed.wait()
        return min(up, key=lambda engine: engine.prompts)

    def _start(self) -> None:
        gpus = self._options.gpus if self._joined.cluster.gpus else 0
        actor = self._joined.cluster.ray.remote(EngineNode).options(
            num_cpus=0, num_gpus=gpus, scheduling_strategy="SPREAD", max_restarts=0, max_concurrency=1000
        ).remote(self._kind, self._options)  # fmt: skip
        engine = _Engine(actor)
        self._engines.append(engine)
        self._spawn(self._begin(engine))

    async def _begin(self, engine: _Engine) -> None:
        """Waits until Ray has a place for it."""
        try:
            await engine.actor.begin.remote()
        except self._joined.cluster.ray.exceptions.RayError as error:
            await asyncio.sleep(_PAUSE_S)
            self._lose(engine, error)
            return
        engine.up = True
        self._changed.set()

    def _lose(self, engine: _Engine, why: object) -> None:
        if engine not in self._engines:
            return
        self._engines.remove(engine)
        self._joined.cluster.ray.kill(engine.actor)
        said = str(why).partition("\n")[0]
        _log.warning("an engine of %s:%s was lost (%s)", self._kind, self._options.model, said)
        self._start()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def model_nodes(cluster: RayCluster, gpus: int, wanted: int | None, models: int) -> ModelNodes:
    """The nodes for `models` models in process, whose engines have `gpus` GPUs each; `wanted` engines, or as many as
    the GPUs take. Raises UsageError where the cluster cannot take them all: the run would wait for ever."""
    there = cluster.gpus
    engines = wanted or there // (gpus * models)
    if not engines:
        raise UsageError(
            f"the cluster has {there} GPUs, and {models} model(s) in process want {gpus} each: add nodes with GPUs, or "
            "set resources.engines, which takes processors where there is no GPU"
        )
    if there and engines * gpus * models > there:
        raise UsageError(
            f"resources.engines is {engines}, resources.gpus {gpus}, and there are {models} model(s) in process: that "
            f"is {engines * gpus * models} GPUs, and the cluster has {there}"
        )
    return ModelNodes(cluster, engines)
