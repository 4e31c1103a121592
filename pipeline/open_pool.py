"""The processes of a run: of this machine, or of all nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, TypeVar

from hardcut.engine.pool import Pool, WorkerPool
from hardcut.engine.ray_cluster import RayCluster
from hardcut.engine.ray_pool import RayPool
from hardcut.schemas.settings import Settings
from hardcut.teacher.local.ray_models import ModelNodes, model_nodes

T = TypeVar("T")


@contextmanager
def open_pool(settings: Settings) -> Iterator[tuple[Pool, Callable[[], ModelNodes] | None]]:
    """The pool that the settings ask for, and what gives the nodes for models in process, where these are a cluster's.
    Inside an event loop.

    A cluster is joined when something is first asked of the pool or the nodes, so that a start with nothing to do joins
    none. These then raise MissingDependency and UsageError where it cannot be joined.
    """
    use = settings.resources
    if use.ray is None:
        with WorkerPool(use.workers or os.cpu_count() or 1, use.decode_timeout_s) as here:
            yield here, None
        return
    with ExitStack() as joined:
        address = use.ray

        @cache
        def cluster() -> RayCluster:
            return joined.enter_context(RayCluster(address))

        @cache
        def pool() -> RayPool:
            from hardcut.pipeline.note_made_with import environment  # a run on one machine asks no versions here

            made_with = environment(settings)
            versions = {"hardcut": made_with.hardcut, **made_with.libraries}
            return joined.enter_context(RayPool(cluster(), use.workers, use.decode_timeout_s, versions))

        @cache
        def nodes() -> ModelNodes:
            in_process = sum(each.spec.startswith(("vllm:", "transformers:")) for each in settings.asked)
            return model_nodes(cluster(), use.gpus, use.engines, in_process)

        yield _LatePool(pool), nodes


class _LatePool:
    """A pool that is opened when it is first asked for something."""

    def __init__(self, opened: Callable[[], Pool]) -> None:
        self._opened = opened

    @property
    def places(self) -> int:
        """As `Pool.places`."""
        return self._opened().places

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """As `Pool.call`."""
        return await self._opened().call(fn, *args, timeout_s=timeout_s)
