"""Does the published recipe teach a reranker? One arm after another, each recorded as it ends; the same again goes on.

python -m benchmarks.curriculum --work DIR [--size small|small-t1|large] [--arms NAME ...] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.curriculum.arms import ARMS, SIZES, Bench, Size, chance
from benchmarks.curriculum.results_table import CHANCE, FIRST, PERFECT, best, figures, shares, table
from benchmarks.curriculum.world import DEPTH, World, make_world
from hardcut.engine.files import atomic_writer
from hardcut.reranker.training import Trained


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curriculum", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="videos, frames, models: kept, so that it can go on")
    parser.add_argument("--size", choices=sorted(SIZES), default="small", help="large: for a machine with a GPU")
    parser.add_argument("--arms", nargs="+", choices=sorted(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--seed", type=int, default=0, help="of the world and, unless told otherwise, of the draw")
    parser.add_argument("--draw", type=int, help="the seed of weights and of the order of training")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "results" / "curriculum.json")
    asked = parser.parse_args()
    size = SIZES[asked.size]
    world = make_world(asked.work / f"{asked.size}-{asked.seed}" / "videos", size.scale, asked.seed)
    asked.draw = asked.seed if asked.draw is None else asked.draw
    work = asked.work / "-".join([asked.size, str(asked.seed), *[str(asked.draw)] * (asked.draw != asked.seed)])
    drawn = {"draw": asked.draw} if asked.draw != asked.seed else {}
    settings = {"seed": asked.seed, **drawn, **_settings(size)}
    for name in asked.arms:
        if name in _results(asked.out, work.name, settings, world)["arms"]:
            continue
        started, cpu = time.perf_counter(), time.process_time()
        run, passes, trained = Bench(work, size, world, asked.draw).run_arm(ARMS[name])
        arm = {
            "what": ARMS[name].says,
            **figures(world.parts["test"], run),
            "blocks": shares(passes),
            "stages": {stage: {"steps": each.steps, "loss": each.loss, each.metric: each.validation, **_course(each)}
                       for stage, each in trained.items()},
            "wall_s": round(time.perf_counter() - started, 1),
            "cpu_s": round(time.process_time() - cpu, 1),
            "load": round(os.getloadavg()[0], 1),
        }  # fmt: skip
        # Read again: other arms may have been run beside this one.
        results = _results(asked.out, work.name, settings, world)
        results["arms"][name] = arm
        _write(asked.out, work.name, results)
        print(table({name: arm}), flush=True)
    results = _results(asked.out, work.name, settings, world)
    print(table({**results["baselines"], **results["arms"]}))


def _settings(size: Size) -> dict[str, Any]:
    """A size as results name it: those that were measured before there was something do not name it."""
    told = asdict(size)
    if not size.measured:
        del told["measured"]
    if not size.plateau:
        del told["plateau"]
    if not size.scale.held_out:
        del told["scale"]["held_out"]
    return told


def _course(trained: Trained) -> dict[str, Any]:
    """What was measured on the way, by step, where it was more than once."""
    name = f"eval_{trained.metric}"
    course = {str(each["step"]): round(each[name], 4) for each in trained.log if name in each}
    return {"course": course} if len(course) > 1 else {}


def _results(out: Path, name: str, settings: dict[str, Any], world: World) -> dict[str, Any]:
    """What is there already of this size and seed under the same settings, else what is known before any training."""
    there = json.loads(out.read_text("utf-8")).get(name) if out.exists() else None
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    if there is not None and there["settings"] == plain:
        return dict(there)
    test = world.parts["test"]
    facts = {
        split: {"clips": len(part.stories), "queries": len(part.queries)} for split, part in world.parts.items()
    }  # fmt: skip
    libraries = ("torch", "transformers", "sentence-transformers", "bm25s")
    found = {
        "settings": plain,
        "depth": DEPTH,
        "world": facts,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "versions": {library: version(library) for library in libraries},
        },
        "baselines": {
            FIRST: figures(test, test.first),
            CHANCE: figures(test, chance(test.first)),
            PERFECT: figures(test, best(test)),
        },
        "arms": {},
    }
    _write(out, name, found)
    return found


def _write(out: Path, name: str, results: dict[str, Any]) -> None:
    """Beside what is there of other sizes and seeds."""
    whole = json.loads(out.read_text("utf-8")) if out.exists() else {}
    with atomic_writer(out) as file:
        json.dump(whole | {name: results}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
