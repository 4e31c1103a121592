"""How close a whole run comes to the one of its two resources that is scarcer: the processors, or the teacher's server.

    python benchmarks/whole_run.py VIDEOS [--workers 2] [--slow 0.5 1 2] [--rounds 1] [--against CHECKOUT]

A server in a process of its own has 8 places. A call takes `SECONDS` of its task, times each `--slow`. Its replies are
written down in a first run that is not measured, so that it takes no time of its own while it is. Then, each with a new
cache and a new folder:

* `processors`: a run up to the evidence, which asks nobody: what the processor alone needs;
* `server`: the seconds of all calls over 8 places: what the server alone needs;
* `whole`: the run. `ratio` is its time over the larger of the two, `in_use` the share of the server's places that was
  in use, `first_call_s` when the first call came.

With `--against` the same is done, in turns, by the Hardcut in another checkout. Writes `results/whole_run.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
PLACES = 8
SECONDS = {
    "caption": 4.0, "check": 1.0, "refine": 3.0, "queries": 3.0, "compose": 2.0, "counterfactual": 3.0, "judge": 0.15,
}  # fmt: skip
"""About what a model of 8 billion parameters takes to write so much; a judge answers with one token."""
_COMMAND = "import sys; from hardcut.cli.app import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--slow", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    trees = {"now": HERE.parent} | ({"before": options.against.resolve()} if options.against else {})
    found: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "workers": options.workers}
    found |= {"places": PLACES, "seconds": SECONDS, "videos": sum(1 for each in options.videos.rglob("*.*"))}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for slow in options.slow:
            for number in range(options.rounds):
                for name, tree in trees.items():
                    folder = Path(scratch) / f"{name}-{slow}-{number}"
                    rows.append({"tree": name, "slow": slow, **measured(options.videos, folder, tree, slow, options)})
                    print(json.dumps(rows[-1]), flush=True)
    found["rows"] = rows
    found["ratios"] = {
        f"{name}, {slow}": median(row["ratio"] for row in rows if (row["tree"], row["slow"]) == (name, slow))
        for name in trees
        for slow in options.slow
    }
    (HERE / "results" / "whole_run.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["ratios"], indent=1))


def measured(videos: Path, folder: Path, tree: Path, slow: float, options: argparse.Namespace) -> dict[str, Any]:
    """One round of one checkout."""
    folder.mkdir()
    replies = folder / "replies"
    replies.mkdir()
    with Server(folder, tree, 0.0) as server:
        run(videos, folder / "first", tree, options, server.url)
    with Server(folder, tree, slow) as server:
        alone = run(videos, folder / "alone", tree, options, server.url, "--until", "evidence")
        began = time.time()
        whole = run(videos, folder / "whole", tree, options, server.url)
        told = server.told()
    assert not told["unknown"], f"{told['unknown']} calls were not those of the first run"
    server_s = told["seconds"] / PLACES
    return {
        "processors_s": round(alone, 1),
        "server_s": round(server_s, 1),
        "whole_s": round(whole, 1),
        "ratio": round(whole / max(alone, server_s), 2),
        "in_use": round(server_s / whole, 2),
        "first_call_s": round(told["first"] - began, 1),
        "calls": told["calls"],
    }


def run(videos: Path, folder: Path, tree: Path, options: argparse.Namespace, url: str, *more: str) -> float:
    """The seconds of a run with a cache of its own."""
    config = folder.with_suffix(".toml")
    config.write_text(f"[resources]\nworkers = {options.workers}\n")
    command = [sys.executable, "-c", _COMMAND, "run", str(videos), "--out", str(folder), "--config", str(config)]
    command += ["--cache", str(folder.with_suffix(".cache")), "--teacher", f"openai:judge@{url}", *more]
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "OPENAI_API_KEY": "none"}
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


class Server:
    """The server in a process of its own, with the replies in a folder."""

    def __init__(self, folder: Path, tree: Path, slow: float) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "SLOW": str(slow)}
        command = [sys.executable, str(Path(__file__)), ".", "--serve", str(folder)]
        self._folder = folder
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Server:
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / "told.json").read_text())
        return found


async def serve(folder: Path) -> None:
    """Answers 8 calls at once, out of what is written down; prints its address."""
    from aiohttp import web

    from tests.teacher_server import TeacherServer, is_small

    slow, room, answers = float(os.environ["SLOW"]), asyncio.Semaphore(PLACES), TeacherServer(tokenizes=True)
    told: dict[str, Any] = {"calls": Counter(), "seconds": 0.0, "unknown": 0, "first": None}

    async def complete(request: web.Request) -> web.Response:
        body = json.loads(data := await request.read())
        kept = folder / "replies" / hashlib.sha256(data).hexdigest()
        if is_small(body) or not slow:
            reply = json.dumps({**await answers._reply(body, None), "usage": json.loads(answers.usage or "{}")})
            kept.write_text(reply)
            return web.Response(text=reply, content_type="application/json")
        told["unknown"] += not kept.exists()
        task = task_of(body)
        told["calls"][task] += 1
        told["seconds"] += SECONDS[task] * slow
        told["first"] = told["first"] or time.time()
        async with room:
            await asyncio.sleep(SECONDS[task] * slow)
        (folder / "told.json").write_text(json.dumps(told))
        return web.Response(body=kept.read_bytes(), content_type="application/json")

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", answers._list)
    app.router.add_post("/tokenize", answers._tokenize)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


def task_of(body: dict[str, Any]) -> str:
    """What a request asks for, by the name of its schema."""
    name = body.get("response_format", {}).get("json_schema", {}).get("name", "judge")
    return name if name in SECONDS else re.sub(r"[^a-z].*", "", name)


if __name__ == "__main__":
    main()
