"""Models on the nodes of a cluster: two nodes on this machine, told to have a GPU each, and a tiny model on the CPU.

Needs torch, transformers and ray (`make test-train`).
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.ray_cluster import RayCluster
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.teacher.local.generation import Generated, ModelOptions, Prompt
from hardcut.teacher.local.process import ModelProcess
from hardcut.teacher.local.ray_models import ModelNodes, RayModels, model_nodes

pytestmark = [
    pytest.mark.torch,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "transformers", "ray")),
        reason="torch, transformers and ray are not installed",
    ),
]


def options(model: Path) -> ModelOptions:
    return ModelOptions(str(model), None, 4, None, 0.9, 1, batch=1)


def videos(count: int) -> list[list[Prompt]]:
    """What is asked about each: three questions."""
    text = "red green blue "
    return [
        [Prompt("", f"{video} {question} {text * 20}", (), Sampling(), judge=True) for question in range(3)]
        for video in range(count)
    ]


@pytest.fixture(scope="module")
def cluster(ray_nodes: Callable[..., Any]) -> Iterator[tuple[Any, RayCluster]]:
    with ray_nodes(2, gpus=1) as nodes, RayCluster(nodes.address) as joined:
        yield nodes, joined


async def test_an_engine_a_gpu_answers_as_one_in_process_does(model: Path, cluster: tuple[Any, RayCluster]) -> None:
    here, there = (
        ModelProcess("transformers", options(model)),
        RayModels("transformers", options(model), lambda: model_nodes(cluster[1], 1, None, 1)),
    )
    try:
        asked = videos(8)
        answered = await asyncio.gather(*(there.generate(prompts) for prompts in asked))
        assert answered == [await here.generate(prompts) for prompts in asked]
        assert all(isinstance(each, Generated) for results in answered for each in results)
        assert len(there._engines) == 2
        homes = {engine.actor._actor_id.hex() for engine in there._engines if engine.up}
        assert len(homes) == 2, "both GPUs work"
    finally:
        await here.close()
        await there.close()


async def test_what_a_lost_node_was_asked_is_asked_of_another(model: Path, cluster: tuple[Any, RayCluster]) -> None:
    nodes, joined = cluster
    there = RayModels("transformers", options(model), lambda: ModelNodes(joined, 2))
    try:
        first = await there.generate(videos(1)[0])
        calls = [asyncio.create_task(there.generate(prompts)) for prompts in videos(200)]
        await calls[10]
        assert not all(call.done() for call in calls)
        await asyncio.to_thread(nodes.kill, 0)
        answered = await asyncio.gather(*calls)
        assert answered[0] == first
        assert all(isinstance(each, Generated) for results in answered for each in results)
    finally:
        await there.close()


async def test_a_model_that_cannot_be_loaded_is_told_as_here(cluster: tuple[Any, RayCluster], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    there = RayModels("transformers", options(tmp_path), lambda: ModelNodes(cluster[1], 1))
    try:
        with pytest.raises(UsageError, match="transformers:"):
            await there.generate(videos(1)[0])
    finally:
        await there.close()


class _Told:
    """A cluster of so many GPUs."""

    def __init__(self, gpus: int) -> None:
        self.gpus = gpus


@pytest.mark.parametrize(
    ("gpus", "each", "wanted", "models", "engines"),
    [(8, 1, None, 1, 8), (8, 2, None, 2, 2), (8, 2, 1, 2, 1), (0, 1, 3, 2, 3)],
)
def test_how_many_engines(gpus: int, each: int, wanted: int | None, models: int, engines: int) -> None:
    assert model_nodes(_Told(gpus), each, wanted, models).engines == engines  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gpus", "each", "wanted", "models", "said"),
    [(0, 1, None, 1, "0 GPUs"), (4, 8, None, 1, "want 8 each"), (4, 1, 3, 2, "that is 6 GPUs, and the cluster has 4")],
)
def test_what_would_wait_for_ever_is_told(gpus: int, each: int, wanted: int | None, models: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        model_nodes(_Told(gpus), each, wanted, models)  # type: ignore[arg-type]
