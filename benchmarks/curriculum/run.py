"""Does training teach? A small Qwen3-VL from random weights, the published recipe, each of its parts left out.

    python benchmarks/curriculum/run.py --work runs/curriculum --out benchmarks/results/curriculum.json

Every arm is resumable (start the same again) and its result is kept as soon as it is there; `--arms` names some,
`--size large` is for a machine with a GPU. Needs `pip install "hardcut[train,eval]"`. The table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from world import FRAMES, SIDES, Pictures, World, kind_of

from hardcut.data.fonts import installed_fonts
from hardcut.media.store import FrameStore
from hardcut.reranker.clips import Clips
from hardcut.reranker.evaluation import evaluate
from hardcut.reranker.examples import Clipped, Validation
from hardcut.reranker.facts import Facts, QueryFacts
from hardcut.reranker.model import open_reranker
from hardcut.reranker.statistics import mean
from hardcut.reranker.tiny import Size, build
from hardcut.reranker.training import TrainJob, train
from hardcut.reranker.validation import rank
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LossSettings, PerceptionSettings, RankingSettings, TrainSettings
from hardcut.schemas.trec import Run

GAIN = 0.31
"""The published mean gain in nDCG@10 over the first stage, which is aimed at."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    clips: dict[str, int]
    model: Size
    caption_epochs: float
    rank_epochs: float
    captions_a_step: int
    groups_a_step: int
    learning_rate: float


SCALES = {
    "trial": Scale({"train": 60, "validation": 20, "test": 40}, Size(frame_patches=6), 1.0, 0.2, 8, 4, 2e-3),
    "small": Scale(
        {"train": 800, "validation": 60, "test": 160},
        Size(hidden=128, layers=3, vision_hidden=96, vision_layers=2, vocabulary=500, frame_patches=6),
        12.0, 2.0, 16, 6, 1e-3,
    ),
    "large": Scale(
        {"train": 6000, "validation": 100, "test": 400},
        Size(hidden=384, layers=8, heads=8, vision_hidden=256, vision_layers=6, vocabulary=500, frame_patches=6),
        12.0, 2.0, 64, 24, 5e-4,
    ),
}  # fmt: skip
LOSS = LossSettings(pairwise_temperature=1.0, teacher=1.0, teacher_temperature=1.0, pointwise=0.5, soft_labels="raw")
"""RANKVIDEO's terms at temperatures for a model that starts from nothing: scores of a few units, not of ten."""
ARMS: dict[str, tuple[bool, LossSettings | None, bool]] = {
    "stage 1": (True, None, False),
    "stage 2": (False, LOSS, False),
    "both": (True, LOSS, False),
    "both, no pairwise": (True, LOSS.model_copy(update={"pairwise": 0.0}), False),
    "both, no teacher": (True, LOSS.model_copy(update={"teacher": 0.0}), False),
    "both, no pointwise": (True, LOSS.model_copy(update={"pointwise": 0.0}), False),
    "both, videos shuffled": (True, LOSS, True),
}
"""Each arm: with stage 1, the loss of stage 2 (None: left out), and whether the training videos are shuffled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/curriculum"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/curriculum.json"))
    parser.add_argument("--size", choices=sorted(SCALES), default="small")
    parser.add_argument("--arms", nargs="*", choices=sorted(ARMS), help="default: all")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    scale = SCALES[given.size]
    work = given.work / f"{given.size}-{given.seed}"
    world = World(given.seed, scale.clips)
    clips = Clips(work / "videos", work / "frames", MediaSettings())
    fill(world, clips)
    model = base_model(world, scale, work / "base")
    results: dict[str, Any] = {"size": given.size, "seed": given.seed, "machine": machine(), "arms": {}}
    kept = work / "results.json"
    if kept.is_file():
        results["arms"] = json.loads(kept.read_text())["arms"]
    results["first stage"] = judged(world, {"first stage": world.first_stage("test")})["first stage"]
    results["random order"] = judged(world, {"random": by_chance(world)})["random"]
    for name in given.arms or list(ARMS):
        if name not in results["arms"]:
            started = time.perf_counter()
            run = arm(name, world, scale, clips, model, work)
            told = judged(world, {"first stage": world.first_stage("test"), name: run})
            results["arms"][name] = {**told[name], "seconds": round(time.perf_counter() - started)}
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(results, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


def arm(name: str, world: World, scale: Scale, clips: Clips, model: Path, work: Path) -> Run:
    """Trains what the arm asks for and ranks the test split's first stage."""
    first, loss, shuffled = ARMS[name]
    seen = replace(world, shuffled=shuffled)
    settings = TrainSettings(
        method="full",
        gradient_checkpointing=False,
        save_steps=10_000,
        warmup=0.05,
        perception=PerceptionSettings(
            frames=FRAMES, epochs=scale.caption_epochs, batch=scale.captions_a_step, accumulate=1,
            learning_rate=scale.learning_rate,
        ),
        ranking=RankingSettings(
            frames=FRAMES, epochs=scale.rank_epochs, groups=scale.groups_a_step, accumulate=1,
            learning_rate=scale.learning_rate, loss=loss or LOSS,
        ),
    )  # fmt: skip
    at = model
    if first:
        at, folder = work / ("stage-1-shuffled" if shuffled else "stage-1"), at
        common = settings.model_copy(update={"ranking": settings.ranking.model_copy(update={"loss": LOSS})})
        train(seen, TrainJob("perception", str(folder), at, clips, common))
    if loss is not None:
        folder, at = at, work / name.replace(" ", "-").replace(",", "")
        train(seen, TrainJob("ranking", str(folder), at, clips, settings))
    asked = world.first_stage("test")
    where = {item.video_id: Clipped(item.video_id, "", item.sha256) for item in world.items["test"]}
    texts = {id: ask.text for id, ask in world.asks["test"].items()}
    pairs = {id: dict.fromkeys(scores, 0) for id, scores in asked.items()}
    for id, twins in chiral_pairs(world).items():
        pairs[id] |= dict.fromkeys(twins, 0)
    reranker = open_reranker(str(at), None, settings)
    return rank(reranker, Validation(texts, where, pairs), clips, FRAMES)


def judged(world: World, runs: dict[str, Run]) -> dict[str, Any]:
    """nDCG@10 with its interval, whole and by kind; and how often the answer beats its twin (chiral) or what the
    negation excludes (negated): chance is 0.5."""
    qrels, kinds = world.qrels("test"), kind_of(world, "test")
    texts = {id: ask.text for id, ask in world.asks["test"].items()}
    facts = Facts({id: QueryFacts(texts[id], {"kind": kind}) for id, kind in kinds.items()})
    shortened = {
        name: {id: {v: s for v, s in of.items() if v in world.first_stage("test")[id]} for id, of in run.items()}
        for name, run in runs.items()
    }
    found = evaluate(qrels, shortened, facts, ["nDCG@10"])
    result: dict[str, Any] = {}
    for run in found.runs:
        result[run.name] = {
            "ndcg@10": run.measures["nDCG@10"].model_dump(),
            "kinds": {kind: value.model_dump() for kind, value in run.slices["kind"].items()},
            "beats twin": beats(runs[run.name], chiral_pairs(world)),
            "beats excluded": beats(runs[run.name], negated_pairs(world)),
        }
    for each in found.comparisons:
        result[each.run]["gain"] = each.relative
        result[each.run]["p"] = each.measures[0].p_value
    return result


def beats(run: Run, pairs: dict[str, list[str]]) -> dict[str, Any]:
    """The share of (answer, other) that are in the right order, by query, with the interval over queries; `pairs` hold
    them one after the other. Ties count half."""
    shares = []
    for id, videos in pairs.items():
        scores = run.get(id, {})
        known = [(scores[a], scores[b]) for a, b in zip(videos[::2], videos[1::2], strict=True)
                 if a in scores and b in scores]  # fmt: skip
        if known:
            shares.append(sum((yes > no) + 0.5 * (yes == no) for yes, no in known) / len(known))
    return mean(shares).model_dump()


def chiral_pairs(world: World) -> dict[str, list[str]]:
    """Of each chiral query: an answer, the same clip the other way round, and so on."""
    items = world.items["test"]
    return _pairs(world, "chiral", lambda item: [o for o in items if o.things == item.things and o.way != item.way])


def negated_pairs(world: World) -> dict[str, list[str]]:
    """Of each negated query: an answer, a clip with what it excludes, and so on."""
    asks = world.asks["test"]
    found = {}
    for id, ask in asks.items():
        if ask.kind == "negated":
            seen = world.first_stage("test")[id]
            items = [item for item in world.items["test"] if item.video_id in seen]
            shape = ask.text.split()[1]
            no = [i for i in items if any(s == shape for _, s in i.things) and not ask.answers(i)]
            yes = [i for i in items if ask.answers(i)]
            found[id] = [each.video_id for a in yes for b in no for each in (a, b)]
    return found


def _pairs(world: World, kind: str, others: Callable[[Any], list[Any]]) -> dict[str, list[str]]:
    found = {}
    for id, ask in world.asks["test"].items():
        if ask.kind == kind:
            yes = [item for item in world.items["test"] if ask.answers(item)]
            found[id] = [each.video_id for item in yes for other in others(item)[:1] for each in (item, other)]
    return found


def by_chance(world: World) -> Run:
    """The first stage's candidates in random order: what a reranker that knows nothing gives."""
    draw = Random(0)
    return {id: {video: draw.random() for video in scores} for id, scores in world.first_stage("test").items()}


def fill(world: World, clips: Clips) -> None:
    fonts = installed_fonts()
    store = FrameStore(clips.store)
    for items in world.items.values():
        for item in items:
            store.fill(item.sha256, clips.media, Pictures(item, fonts))


def base_model(world: World, scale: Scale, folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        texts = [item.caption for item in world.items["train"]]
        texts += [ask.text for ask in world.asks["train"].values()]
        prompt = "Query: Does the video answer the query? Reply with yes or no. Describe the video. 0123456789 seconds"
        build(folder, texts + [prompt] * (len(texts) // 2), scale.model)
    return folder


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "torch": torch.__version__,
        "frames": f"{FRAMES} of {SIDES[0]} x {SIDES[1]}",
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    kinds = list(results["first stage"]["kinds"])
    lines = [
        "| arm | nDCG@10 (95 %) | gain | " + " | ".join(kinds) + " | beats twin | beats excluded |",
        "| --- | " + " | ".join("---" for _ in range(len(kinds) + 4)) + " |",
    ]
    rows = {"first stage": results["first stage"], "random order": results["random order"], **results["arms"]}
    for name, told in rows.items():
        whole = told["ndcg@10"]
        gain = f"{100 * told['gain']:+.0f} %" if told.get("gain") is not None else ""
        cells = [f"{told['kinds'][kind]['mean']:.3f}" for kind in kinds]
        for key in ("beats twin", "beats excluded"):
            of = told[key]
            cells.append("" if of["mean"] is None else f"{of['mean']:.2f} ({of['low']:.2f} to {of['high']:.2f})")
        lines.append(
            f"| {name} | {whole['mean']:.3f} ({whole['low']:.3f} to {whole['high']:.3f}) | {gain} | "
            + " | ".join(cells) + " |"
        )  # fmt: skip
    lines.append(f"\nAimed at: both stages at {100 * GAIN:+.0f} % over the first stage.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
