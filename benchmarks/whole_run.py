"""How close a whole run comes to the one of its two resources that is scarcer: the processors, or the teacher's server.

    python benchmarks/whole_run.py VIDEOS [--workers 2] [--slow 0.5 1 2] [--rounds 1] [--against CHECKOUT]

A server in a process of its own has 8 places. A call takes `SECONDS` of its task, times each `--slow`. Its replies are
written down in a first run that is not measured. So it takes next to no processor time while it is: it knows a request
by its digest, and reads none. That run also leaves the bytecode that an installed package has. Then, each with a new
cache and a new folder:

* `processors`: a run up to the evidence, which asks nobody: what the processor alone needs;
* `server`: the seconds of all calls over 8 places: what the server alone needs;
* `whole`: the run. `ratio` is its time over the larger of the two, `in_use` the share of the server's places that was
  in use, `first_call_s` when the first call came.

What the server had to do from start to end stands below each run: of every stretch of time how many of its places were
in use, for which tasks, and how many calls waited. `idle_s` is what its 8 places stood still for, in seconds of the
whole server: before the first call, between, and after the last.

With `--against` the same is done, in turns, by the Hardcut in another checkout. `--first-call` takes nothing but the
time to the first call, of so many runs that are killed then. Writes `results/whole_run.json`: a row for each number of
videos, `slow` and checkout, which takes the place of the one before.
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
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "whole_run.json"
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".ts", ".gif")
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
    parser.add_argument("--first-call", type=int, metavar="RUNS")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    trees = {"now": HERE.parent} | ({"before": options.against.resolve()} if options.against else {})
    videos = sum(1 for each in options.videos.rglob("*") if each.suffix in VIDEO_SUFFIXES)
    told = json.loads(RESULTS.read_text())
    told |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "places": PLACES, "seconds": SECONDS}
    with tempfile.TemporaryDirectory() as scratch:
        if options.first_call:
            waits = [first_call(options, Path(scratch) / str(number)) for number in range(options.first_call)]
            told["first_call"] = {"videos": videos, "seconds": waits}
            print(json.dumps(told["first_call"]))
        for slow in options.slow if not options.first_call else ():
            for name, tree in trees.items():
                folders = [Path(scratch) / f"{name}-{slow}-{number}" for number in range(options.rounds)]
                rounds = [measured(options.videos, folder, tree, slow, options) for folder in folders]
                row = sorted(rounds, key=lambda each: each["ratio"])[len(rounds) // 2]
                named = {"tree": name, "videos": videos, "workers": options.workers, "slow": slow}
                others = [each for each in told["rows"] if {key: each[key] for key in named} != named]
                told["rows"] = [*others, {**named, **row}]
                print(json.dumps(told["rows"][-1]), flush=True)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")


def first_call(options: argparse.Namespace, folder: Path) -> float:
    """The seconds from the start of a run to its first call about a video."""
    folder.mkdir()
    (folder / "replies").mkdir()
    with Server(folder, HERE.parent, 0.0) as server:
        began = time.time()
        command, environment = _command(options.videos, folder / "run", HERE.parent, options, server.url)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                calls = [each for each in (folder / "replies").iterdir() if each.suffix != ".small"]
                if calls:
                    return round(min(each.stat().st_mtime for each in calls) - began, 1)
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
    sys.exit("the run ended before its first call")


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
        ended = time.time()
        told = server.told()
    assert not told["unknown"], f"{told['unknown']} calls were not those of the first run"
    server_s = told["seconds"] / PLACES
    calls = [Call(*each) for each in told["calls_at"]]
    print(timeline(calls, began, ended), flush=True)
    return {
        "processors_s": round(alone, 1),
        "server_s": round(server_s, 1),
        "whole_s": round(whole, 1),
        "ratio": round(whole / max(alone, server_s), 2),
        "in_use": round(server_s / whole, 2),
        "first_call_s": round(min(each.came for each in calls) - began, 1),
        "idle_s": idle(calls, began, ended),
        "calls": Counter(each.task for each in calls),
    }


class Call(NamedTuple):
    """A call to the server: its task, when it came, when it got a place, and when it was answered; in seconds since
    1970."""

    task: str
    came: float
    began: float
    ended: float


def idle(calls: Sequence[Call], began: float, ended: float) -> dict[str, float]:
    """What the server's places stood still for in a run: before the first call, between, and after the last one."""
    first, last = min(each.began for each in calls), max(each.ended for each in calls)
    used = sum(each.ended - each.began for each in calls) / PLACES
    found = {"before": first - began, "between": last - first - used, "after": ended - last}
    return {name: round(value, 1) for name, value in found.items()}


def timeline(calls: Sequence[Call], began: float, ended: float, lines: int = 24) -> str:
    """A line for each stretch of a run: places in use as a bar, how many for which task, and calls that waited."""
    width = (ended - began) / lines
    shown = [f"  second   places in use (of {PLACES})"]
    for at in range(lines):
        start = began + at * width
        use, waits = Counter[str](), 0.0
        for call in calls:
            use[call.task] += max(0.0, min(call.ended, start + width) - max(call.began, start)) / width
            waits += max(0.0, min(call.began, start + width) - max(call.came, start)) / width
        tasks = ", ".join(f"{task} {count:.1f}" for task, count in use.most_common() if count >= 0.05)
        bar = "#" * round(2 * use.total())
        told = [f"{start - began:8.1f}", f"{bar:<{2 * PLACES}}", tasks, f"({waits:.1f} wait)" if waits >= 0.05 else ""]
        shown.append("   ".join(filter(None, told)))
    return "\n".join(shown)


def run(videos: Path, folder: Path, tree: Path, options: argparse.Namespace, url: str, *more: str) -> float:
    """The seconds of a run with a cache of its own."""
    began = time.perf_counter()
    command, environment = _command(videos, folder, tree, options, url, *more)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def _command(
    videos: Path, folder: Path, tree: Path, options: argparse.Namespace, url: str, *more: str
) -> tuple[list[str], dict[str, str]]:
    """A run by a checkout, and its environment."""
    config = folder.with_suffix(".toml")
    config.write_text(f"[resources]\nworkers = {options.workers}\n")
    command = [sys.executable, "-c", _COMMAND, "run", str(videos), "--out", str(folder), "--config", str(config)]
    command += ["--cache", str(folder.with_suffix(".cache")), "--teacher", f"openai:judge@{url}", *more]
    bytecode = {"PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    return command, {**os.environ, **bytecode, "PYTHONPATH": f"{tree / 'src'}:{tree}", "OPENAI_API_KEY": "none"}


class Server:
    """The server in a process of its own, with the replies in a folder."""

    def __init__(self, folder: Path, tree: Path, slow: float) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "SLOW": str(slow)}
        command = [sys.executable, str(Path(__file__)), ".", "--serve", str(folder)]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Server:
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def told(self) -> dict[str, Any]:
        """What it did since its start."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/told") as reply:
            found: dict[str, Any] = json.loads(reply.read())
        return found


async def serve(folder: Path) -> None:
    """Answers 8 calls at once, out of what is written down; prints its address."""
    from aiohttp import web

    from tests.teacher_server import TeacherServer, is_small

    slow, room, answers = float(os.environ["SLOW"]), asyncio.Semaphore(PLACES), TeacherServer(tokenizes=True)
    told: dict[str, Any] = {"seconds": 0.0, "unknown": 0, "calls_at": []}

    known = {name: (task, path) for path in (folder / "replies").iterdir() for name, task in [path.name.split(".")]}

    async def complete(request: web.Request) -> web.Response:
        data = await request.read()
        name = hashlib.sha256(data).hexdigest()
        if not slow or name not in known:
            body = json.loads(data)
            task = "small" if is_small(body) else task_of(body)
            reply = json.dumps({**await answers._reply(body, None), "usage": json.loads(answers.usage or "{}")})
            (folder / "replies" / f"{name}.{task}").write_text(reply)
            told["unknown"] += bool(slow) and task != "small"
            return web.Response(text=reply, content_type="application/json")
        task, kept = known[name]
        if task == "small":
            return web.Response(body=kept.read_bytes(), content_type="application/json")
        came = time.time()
        async with room:
            began = time.time()
            await asyncio.sleep(SECONDS[task] * slow)
        told["seconds"] += SECONDS[task] * slow
        told["calls_at"].append(Call(task, came, began, time.time()))
        return web.Response(body=kept.read_bytes(), content_type="application/json")

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(told)

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/told", tell)
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
