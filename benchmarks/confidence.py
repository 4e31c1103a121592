"""Whether the confidence of a movement tells true from false, and the weights of the formula that gives it.

    python benchmarks/confidence.py VIDEOS TRUTH [--out benchmarks/results/confidence.json]

VIDEOS is a folder with the clips, TRUTH one with `claims_truth.py` and its `.jsonl` files. What is told today is
mostly true, so that it says little of the confidence. So the thresholds of `movements.py` are let down here, and each
statement is judged. A logistic regression with one weight a measure is fitted on all clips but one and asked about that
one. The area under the curve is given of those answers, with an interval of 95 % by drawing clips anew.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hardcut.engine.files import atomic_writer
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import MediaSettings
from hardcut.synth.evidence import movements
from hardcut.synth.evidence.motion import Finding, find_motion

LET_DOWN = {
    "PATH": 0.02, "OF_SIZE": 0.1, "OF_LARGE": 0.1, "OF_CREEPING": 0.1, "STRAIGHT": 0.3, "EXPLAINED": 0.0,
    "CHANGED": 0.0, "AROUND": 1.1, "MOMENT": 0, "MOST": 40,
}  # fmt: skip
DRAWN, BINS = 1000, (0.0, 0.3, 0.5, 0.7, 0.85, 1.01)

Floats = NDArray[np.float64]


def judges(truth: Path) -> ModuleType:
    """The scorer beside the truth."""
    spec = importlib.util.spec_from_file_location("claims_truth", truth / "claims_truth.py")
    assert spec is not None and spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    return scorer


def statements(videos: Path, truth: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is told of the clips, and what with the thresholds let down: each with its measures, and whether it is
    true."""
    scorer = judges(truth)
    clips = {each["clip"]: each for file in sorted(truth.glob("*.jsonl")) for each in scorer.load(file)}
    files = {file.stem: file for file in sorted(videos.rglob("*")) if file.stem in clips}
    today = {name: getattr(movements, name) for name in LET_DOWN}
    told: list[dict[str, Any]] = []
    loose: list[dict[str, Any]] = []
    for name, file in files.items():
        with tempfile.TemporaryDirectory() as folder:
            survey = ingest(str(file), folder, MediaSettings(), surveyed=True).survey
            bursts = survey.bursts if survey else ()
            for found, values in ((told, today), (loose, LET_DOWN)):
                for key, value in values.items():
                    setattr(movements, key, value)
                findings = find_motion(bursts)
                for key, value in today.items():
                    setattr(movements, key, value)
                found += [row for item in findings if (row := judged(item, name, clips[name], scorer))]
    return told, loose


def judged(item: Finding, name: str, clip: object, scorer: ModuleType) -> dict[str, Any] | None:
    """A movement with its verdict; None where it is none, or where nobody can say."""
    if "path" not in item.support:
        return None
    _, verdict, why = scorer.judge("motion", item.text, item.start, item.end, clip)
    if verdict not in ("true", "false"):
        return None
    confidence = movements.confidence(item.support)
    return {"clip": name, "text": item.text, "start": item.start, "end": item.end, "why": why,
            "support": dict(item.support), "true": verdict == "true", "confidence": confidence}  # fmt: skip


def measured(rows: list[dict[str, Any]]) -> Floats:
    """What the formula weighs, a row for each statement."""
    return np.array([movements.measures(row["support"]) for row in rows])


def held_out(rows: list[dict[str, Any]], truth: Floats) -> Floats:
    """The answers of fits that did not see the clip."""
    values, clips = measured(rows), np.array([row["clip"] for row in rows])
    answers = np.zeros(len(rows))
    for clip in set(clips):
        model = fitted(values[clips != clip], truth[clips != clip])
        answers[clips == clip] = model.predict_proba(values[clips == clip])[:, 1]
    return answers


def fitted(values: Floats, truth: Floats) -> LogisticRegression:
    return LogisticRegression(C=1.0, max_iter=1000).fit(values, truth)


def area(rows: list[dict[str, Any]], truth: Floats, answers: Floats) -> dict[str, object]:
    """Area under the curve, with an interval of 95 % by drawing clips anew."""
    if len(set(truth)) < 2:
        return {"statements": len(rows), "false": int((1 - truth).sum()), "auc": None}
    draw, clips = np.random.default_rng(1), np.array([row["clip"] for row in rows])
    names, drawn = sorted(set(clips)), []
    for _ in range(DRAWN):
        chosen = np.concatenate([np.flatnonzero(clips == name) for name in draw.choice(names, len(names))])
        if len(set(truth[chosen])) == 2:
            drawn.append(roc_auc_score(truth[chosen], answers[chosen]))
    low, high = (round(float(value), 3) for value in np.percentile(drawn, (2.5, 97.5)))
    return {
        "statements": len(rows), "false": int((1 - truth).sum()),
        "auc": round(float(roc_auc_score(truth, answers)), 3), "interval": [low, high],
    }  # fmt: skip


def reliability(truth: Floats, answers: Floats) -> list[dict[str, object]]:
    """Of statements of a confidence, how many there are, what they say on average, and how many are true."""
    table: list[dict[str, object]] = []
    for low, high in pairwise(BINS):
        inside = (answers >= low) & (answers < high)
        if inside.any():
            mean, true = float(answers[inside].mean()), float(truth[inside].mean())
            table.append({"from": low, "n": int(inside.sum()), "said": round(mean, 3), "true": round(true, 3)})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "confidence.json")
    options = parser.parse_args()
    told, loose = statements(options.videos, options.truth)
    if not loose:
        parser.error(f"no clip in {options.videos} has truth in {options.truth}")
    result: dict[str, object] = {}
    for kind, rows in (("told", told), ("thresholds let down", loose)):
        truth, answers = (np.array([float(row[name]) for row in rows]) for name in ("true", "confidence"))
        result[kind] = {
            "clips": len({row["clip"] for row in rows}),
            "formula": area(rows, truth, answers), "reliability": reliability(truth, answers),
        }  # fmt: skip
    answers, whole = held_out(loose, truth), fitted(measured(loose), truth)
    result["held out"] = {**area(loose, truth, answers), "reliability": reliability(truth, answers)}
    result["weights"] = [round(float(value), 2) for value in (*whole.intercept_, *whole.coef_[0])]
    print(json.dumps(result, indent=1))
    with atomic_writer(options.out) as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
