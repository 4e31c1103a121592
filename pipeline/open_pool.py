"""The processes of a run: of this machine, or of all nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hardcut.engine.pool import Pool, WorkerPool
from hardcut.engine.ray_cluster import RayCluster
from hardcut.engine.ray_pool import RayPool
from hardcut.schemas.settings import Settings
from hardcut.teacher.local.ray_models import ModelNodes, model_nodes


@contextmanager
def open_pool(settings: Settings) -> Iterator[tuple[Pool, ModelNodes | None]]:
    """The pool that the settings ask for, and the nodes for models in process, where these are a cluster's. Inside an
    event loop.

    Raises MissingDependency and UsageError where the cluster cannot be joined.
    """
    use = settings.resources
    if use.ray is None:
        with WorkerPool(use.workers or os.cpu_count() or 1, use.decode_timeout_s) as here:
            yield here, None
        return
    from hardcut.pipeline.note_made_with import environment  # a run on one machine asks no versions here

    made_with = environment(settings)
    with RayCluster(use.ray) as cluster:
        in_process = sum(each.spec.startswith(("vllm:", "transformers:")) for each in settings.asked)
        nodes = model_nodes(cluster, use.gpus, use.engines, in_process) if in_process else None
        versions = {"hardcut": made_with.hardcut, **made_with.libraries}
        with RayPool(cluster, use.workers, use.decode_timeout_s, versions) as pool:
            yield pool, nodes
