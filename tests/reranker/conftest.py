"""A small world for training: coloured squares that move, their frames in a store, rows as an export writes them."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hardcut.media.sampler import Sample
from hardcut.media.store import FrameStore
from hardcut.reranker.clips import Clips
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LossSettings

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 40, 230), "white": (240, 240, 240)}
WAYS = ("left", "right")
SPLITS = ("train", "validation")
CORPUS = [
    f"a {colour} square moves {way}. yes no yes no Does the video answer the query? Query: Describe the video."
    for colour in COLOURS
    for way in WAYS
] * 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `torch` are skipped, and say so, where what trains is not installed."""
    wanted = ("torch", "transformers", "peft", "accelerate", "sentence_transformers")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    for item in items:
        if missing and item.get_closest_marker("torch") and Path(item.fspath).parent.name == "reranker":
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} not installed: `make test-train`"))


@dataclass(frozen=True)
class Pictures:
    """What the frame store is filled from."""

    colour: str
    way: str
    count: int

    duration_s = 2.0
    missing: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        for number in range(self.count):
            picture = np.full((64, 96, 3), 40, dtype=np.uint8)
            at = 4 + 60 * number // self.count
            at = at if self.way == "right" else 72 - at
            picture[20:44, at : at + 20] = COLOURS[self.colour]
            yield Sample(number * self.duration_s / self.count, picture)


@dataclass(frozen=True)
class World:
    """Rows by config and split, and the frames of the videos. It reads like `publish.dataset.Dataset`."""

    clips: Clips
    tables: dict[str, list[tuple[str, dict[str, Any]]]]

    @property
    def configs(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        for split, row in self.tables.get(config, ()):
            yield split, row if columns is None else {name: row.get(name) for name in columns}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return make_world(Clips(folder / "videos", folder / "frames", MediaSettings()))


@pytest.fixture(scope="session")
def blocks(world: World) -> World:
    """The same with blocks of counterfactuals."""
    return with_blocks(world)


def with_blocks(world: World) -> World:
    """Every other group has two blocks on its positive's video: its own query against the other direction, and a colour
    that is excluded and absent against one that is excluded and there."""
    tables = {name: list(rows) for name, rows in world.tables.items()} | {"diagnostic": []}
    for number, (split, group) in enumerate(world.tables["groups"]):
        if number % 2:
            continue
        _, colour, way = group["positive"]["video_id"].split("-")
        other, absent = WAYS[way == "left"], "blue" if colour == "red" else "red"
        own = group["query_id"]
        asked = [
            (f"{own}-absent", f"a square moves {way} and none is {absent}", True, f"{own}-there"),
            (f"{own}-there", f"a square moves {way} and none is {colour}", False, f"{own}-absent"),
            (f"{own}-reversed", f"a {colour} square moves {other}", False, own),
        ]
        listed = []
        for query, text, answered, against in asked:
            margin = 3.0 if answered else -2.0
            about = {"query_id": query, "query": text, "logit_margin": margin, "exact": True}
            pair = {**group["positive"], **about, "pair_id": f"{query}:v", "label": int(answered)}
            listed.append({**about, "pair_id": pair["pair_id"], "answered": answered, "against": against})
            tables["pairs"].append((split, pair))
            tables["queries"].append((split, {**world.tables["queries"][number][1], "query_id": query, "query": text}))
        texts = {own: group["query"], **{query: text for query, text, *_ in asked}}
        file = {name: group["positive"][name] for name in ("video_id", "video_path", "sha256")}
        for query, _, answered, against in asked:
            if not answered:
                sides = {
                    side: {"query_id": id, "query": texts[id], "kind": "event"}
                    for side, id in (("answered", against), ("unanswered", query))
                }
                change = "reversed" if query.endswith("reversed") else "negated"
                block = {"block_id": f"b-{query}", "change": change, "mirror": None, "rule": "", **file, **sides}
                tables["diagnostic"].append((split, block))
        tables["groups"][number] = (split, {**group, "counterfactuals": listed})
    return replace(world, tables=tables)


def make_world(clips: Clips) -> World:
    """Eight videos a split, each the positive of one query and a negative of two."""
    tables: dict[str, list[tuple[str, dict[str, Any]]]] = {
        name: [] for name in ("queries", "pairs", "groups", "captions")
    }
    kinds = [(colour, way) for colour in COLOURS for way in WAYS]
    for split in SPLITS:
        for number, (colour, way) in enumerate(kinds):
            video = f"{split}-{colour}-{way}"
            FrameStore(clips.store).fill(digest(video), clips.media, Pictures(colour, way, 6))
            others = [kinds[(number + step) % len(kinds)] for step in (1, 3)]
            _add(tables, split, video, (colour, way), [f"{split}-{c}-{w}" for c, w in others])
    return World(clips, tables)


def _add(
    tables: dict[str, list[tuple[str, dict[str, Any]]]], split: str, video: str, what: tuple[str, str], no: list[str]
) -> None:
    text = f"a {what[0]} square moves {what[1]}"
    query = f"q-{video}"
    hard = {"positive_rank": 1, "margin_gap": None, "modalities": 1, "spans": 0}
    about = {
        "external_id": None, "reference_video_id": None, "language": "en", "view": "caption", "kind": "event",
        "difficulty": hard,
    }  # fmt: skip
    tables["queries"].append((split, {"query_id": query, "query": text, **about}))
    rows = []
    for other in (video, *no):
        margin = 4.0 if other == video else -5.0
        row = {
            "pair_id": f"{query}:{other}", "query_id": query, "query": text, "video_id": other,
            "video_path": f"{other}.mp4", "sha256": digest(other), "label": int(other == video),
            "logit_margin": margin, "p_yes": 1 / (1 + np.exp(-margin)), "p_calibrated": None, "exact": True,
        }  # fmt: skip
        rows.append(row)
        tables["pairs"].append((split, row))
    group = {"group_id": f"t-{query}", "query_id": query, "query": text, "kind": "event"}
    tables["groups"].append((split, {**group, "positive": rows[0], "negatives": rows[1:]}))
    where = {name: rows[0][name] for name in ("video_id", "video_path", "sha256")}
    tables["captions"].append((split, {"caption_id": f"c-{video}", **where, "caption": f"{text}.", "claims": []}))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small Qwen3-VL from random weights."""
    import torch

    from hardcut.reranker.tiny import build

    torch.set_num_threads(1)  # several on a busy machine wait for each other
    folder = tmp_path_factory.mktemp("tiny") / "model"
    build(folder, CORPUS)
    return str(folder)


def step_of(reranker: Any, network: Any, batch: Any) -> tuple[float, dict[str, Any]]:
    """The loss of a step of stage 2 over a batch, and the gradients; `network` may be wrapped."""
    from hardcut.reranker.trainers import RankingTrainer

    reranker.network.zero_grad()
    trainer: Any = SimpleNamespace(_reranker=reranker, _settings=LossSettings(), _terms=defaultdict(list))
    loss = RankingTrainer.compute_loss(trainer, network, batch)
    loss.backward()
    found = reranker.network.named_parameters()
    return float(loss.detach()), {name: value.grad.clone() for name, value in found if value.grad is not None}


@pytest.fixture
def step() -> Any:
    """`step(reranker, network, batch)`, see `step_of`."""
    return step_of


@pytest.fixture
def in_two_processes(tiny: str, world: World, tmp_path: Path) -> Callable[..., None]:
    """Runs a script of this folder to its end as two processes of one training: `in_two_processes("name.py")`. It is
    given the model, the frames and a folder to write to, `tmp_path`. `killed`: that end is SIGKILL."""

    def run(script: str, killed: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = Path(__file__).with_name(script)
        given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **given, "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1"}
        running = [
            subprocess.Popen(
                [sys.executable, str(program), tiny, str(world.clips.store), str(tmp_path)],
                env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                cwd=Path(__file__).resolve().parents[2],
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        try:
            errors = [process.communicate(timeout=800)[1] for process in running]
        finally:
            for process in running:
                process.kill()
        status = -signal.SIGKILL if killed else 0
        assert [process.returncode for process in running] == [status, status], "\n".join(
            each[-2000:] for each in errors
        )

    return run


@pytest.fixture
def hardcut_command() -> Any:
    """Runs the command to its end."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "hardcut.cli.app", *map(str, arguments)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=850, check=False)

    return call
