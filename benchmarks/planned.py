"""How far `hardcut plan` is from what a run then does: calls and tokens, before the first call and on the way.

    python benchmarks/planned.py VIDEOS --name NAME --work DIR [--sample N]

A run over VIDEOS on a server that answers out of the evidence in the prompt (`tests/teacher_server.py`) and counts
tokens as a model would: four letters each, and 256 for a picture. Another run is stopped by its budget after a part of
its calls, planned, and started again; a third is planned with a sample. What is planned for the rest is held against
what the rest took. Puts NAME into `results/planned.json` beside this file. What is in DIR already is not done again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer

SHARES = (0.1, 0.3, 0.5)
"""Parts of the calls after which the run is planned."""
COUNTS = ("calls", "prompt_tokens", "completion_tokens")
RESULTS = Path(__file__).parent / "results" / "planned.json"
ROOT = Path(__file__).parents[1]


def main(videos: Path, name: str, work: Path, sample: int) -> None:
    """Runs and plans, prints and writes the result."""
    with _server() as server:
        _count_tokens(server)
        teacher = ["--teacher", f"openai:judge@{server.url}"]
        whole = _place(work, "whole")
        if not (work / "whole.done").exists():
            _hardcut("run", videos, *_to(_place(work, "base")), *teacher, "--until", "evidence")
            _begin(work, "whole")
            _hardcut("run", videos, *_to(whole), *teacher)
            (work / "whole.done").touch()
        took, rows = _took(whole / "run"), []

        def planned(when: str, place: Path, *more: Any) -> None:
            plan = json.loads(_hardcut("plan", videos, *_to(place), *teacher, "--json", *more))
            rows.append({"planned": when, **_apart(plan, _took(place / "run"), took)})
            print(rows[-1], flush=True)

        part = _begin(work, "part")
        planned("with evidence", part)
        for share in SHARES:
            _hardcut("run", videos, *_to(part), *teacher, "--budget", round(share * took["calls"]))
            planned(f"after {share:.0%} of the calls", part)
        planned(f"by a sample of {sample}", _begin(work, "sample"), "--sample", sample)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    videos_of = len({path for path in (whole / "run" / "videos.jsonl").read_text().splitlines() if path})
    known[name] = {"videos": videos_of, "took": took, "plans": rows}
    with atomic_writer(RESULTS) as file:
        json.dump(dict(sorted(known.items())), file, indent=1)
        file.write("\n")


def _place(work: Path, name: str) -> Path:
    (work / name).mkdir(parents=True, exist_ok=True)
    return work / name


def _begin(work: Path, name: str) -> Path:
    """A place with the evidence and the frames, and without replies."""
    if (work / name).exists():
        shutil.rmtree(work / name)
    place, base = _place(work, name), work / "base"
    shutil.copytree(base / "run", place / "run")
    (place / "cache").mkdir()
    for each in (base / "cache").iterdir():
        if not each.name.startswith("replies"):
            (place / "cache" / each.name).symlink_to(each)
    return place


def _to(place: Path) -> list[Any]:
    return ["--out", place / "run", "--cache", place / "cache"]


def _apart(plan: dict[str, Any], spent: dict[str, int], took: dict[str, int]) -> dict[str, Any]:
    """What was planned, over what the rest took, and with what was spent over what the whole run took."""
    reply = [sum(line["completion_tokens"][end] for line in plan["stages"]) for end in (0, 1)]
    planned = {"calls": plan["calls"], "prompt_tokens": sum(line["prompt_tokens"] for line in plan["stages"])}
    if reply[0] == reply[1]:
        planned["completion_tokens"] = reply[0]
    low, high = (each + spent["calls"] for each in plan["between"])
    return {
        "spent": spent["calls"],
        "of_the_rest": {name: round(each / max(1, took[name] - spent[name]), 3) for name, each in planned.items()},
        "of_the_whole": {name: round((each + spent[name]) / took[name], 3) for name, each in planned.items()},
        "between": [round(low / took["calls"], 3), round(high / took["calls"], 3)],
    }


def _took(run: Path) -> dict[str, int]:
    spend = json.loads(_hardcut("status", run, "--json"))["spend"]
    return {name: sum(row[name] for row in spend) for name in COUNTS}


def _hardcut(*arguments: Any) -> str:
    line = [sys.executable, "-c", "from hardcut.cli.app import main; main()", *map(str, arguments)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(done.returncode)
    return done.stdout


def _server() -> Any:
    spec = spec_from_file_location("teacher_server", ROOT / "tests" / "teacher_server.py")
    assert spec and spec.loader
    module = sys.modules["teacher_server"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TeacherServer(usage=None)


def _count_tokens(server: Any) -> None:
    reply = server._reply

    async def counted(body: dict[str, Any], kind: Any) -> dict[str, Any]:
        made: dict[str, Any] = await reply(body, kind)
        parts = [part for message in body["messages"] for part in _parts(message["content"])]
        prompt = sum(len(part["text"]) // 4 if part["type"] == "text" else 256 for part in parts)
        written = len(made["choices"][0]["message"]["content"]) // 4
        return {**made, "usage": {"prompt_tokens": prompt, "completion_tokens": written}}

    server._reply = counted


def _parts(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=8)
    given = parser.parse_args()
    main(given.videos, given.name, given.work, given.sample)
