"""How much of a server's capacity a teacher uses, with every reply durable and every call booked.

    python benchmarks/saturation.py [--calls 2000] [--rounds 3]

A fake server in a process of its own answers 64 calls at once, 0.2 s each. The bare loop is 64 tasks that post ready
bodies with aiohttp and parse the JSON of the answers: nothing is rendered, checked, kept or counted. Hardcut is asked
through `CachedTeacher` (prompt filled in, reply checked, kept and flushed, calls and tokens booked), four queries a
video. Both run in turns, small and with 300 KiB of pictures a request, each in a process of its own; ratios are of
medians. Writes `results/saturation.json` beside this file.

Other tools' figures come from the same run where their environment is named:
`--peer NAME=PYTHON:SCRIPT`, a script that takes the server's address and the number of calls.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
LATENCY_S, AT_ONCE, QUERIES = 0.2, 64, 4
FRAMES, FRAME_BYTES = 4, 75 * 1024
ANSWER = {
    "choices": [
        {
            "message": {"content": "<answer>yes</answer>"},
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {"token": token, "logprob": -0.1, "top_logprobs": top}
                    for token, top in (
                        ("<answer>", []),
                        ("yes", [{"token": "yes", "logprob": -0.1}, {"token": "no", "logprob": -2.4}]),
                        ("</answer>", []),
                    )
                ]
            },
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


def serve() -> None:
    """The fake server; prints its port. Takes no time of its own beyond reading the request."""
    from aiohttp import web

    room, body = asyncio.Semaphore(AT_ONCE), json.dumps(ANSWER).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        async with room:
            await asyncio.sleep(LATENCY_S)
        return web.Response(body=body, content_type="application/json")

    async def main() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
        await asyncio.Event().wait()

    asyncio.run(main())


async def bare(url: str, calls: int, media: bool) -> None:
    """64 tasks, ready bodies."""
    import aiohttp

    text = {"type": "text", "text": "Does the video answer the query?" * 40}
    picture = {"url": "data:image/jpeg;base64," + base64.b64encode(os.urandom(FRAME_BYTES)).decode()}
    parts = [{"type": "image_url", "image_url": picture}] * (FRAMES if media else 0)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [*parts, text]}]}).encode()
    numbers = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            headers = {"Content-Type": "application/json"}
            async with session.post(url + "/chat/completions", data=body, headers=headers) as response:
                assert json.loads(await response.read())["choices"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))


async def through_teacher(url: str, calls: int, media: bool, folder: Path) -> None:
    """What a run does for each call, without decoding."""
    from hardcut.engine.budget import CallBudget, current_stage
    from hardcut.engine.ledger import Ledger
    from hardcut.engine.replies import ReplyCache
    from hardcut.media.frames import Frame
    from hardcut.schemas.records import Sampling
    from hardcut.schemas.settings import Budget, Resources, TeacherSettings
    from hardcut.teacher.protocol import Reply, Request
    from hardcut.teacher.registry import open_teacher

    current_stage.set("scores")
    frames = []
    for number in range(FRAMES if media else 0):
        data = os.urandom(FRAME_BYTES)
        path = folder / f"{number}.jpg"
        path.write_bytes(data)
        frames.append(Frame(path, float(number), hashlib.sha256(data).hexdigest()))
    videos = iter(range(calls // QUERIES))

    def requests(video: int) -> list[Request]:
        lines = [
            {"id": f"e{video}-{n}", "kind": "ocr", "text": f"line {n}", "start": 1.0, "end": 2.0, "confidence": 0.9}
            for n in range(6)
        ]
        common: dict[str, Any] = {"video": {"duration_s": 20.0}, "evidence": lines, "caption": f"video {video}"}
        return [
            Request("judge", {**common, "query": f"query {query}"}, Sampling(), tuple(frames))
            for query in range(QUERIES)
        ]

    with ReplyCache(folder / "replies.sqlite") as replies, Ledger(folder / "run") as ledger:
        teacher = open_teacher(
            TeacherSettings(spec=f"openai:m@{url}"),
            Resources(concurrency=AT_ONCE),
            replies=replies,
            budget=CallBudget(ledger, Budget(calls=calls * 2)),
        )

        async def work() -> None:
            for video in videos:
                assert all(isinstance(outcome, Reply) for outcome in await teacher.complete(requests(video)))

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        await teacher.close()
        kept = replies._database.read("SELECT count(*) FROM reply")[0][0]
        assert kept == calls, f"{kept} of {calls} replies are durable"


def client(kind: str, url: str, calls: int, media: bool) -> None:
    """One measurement in this process; prints it. What is imported is not measured."""
    import aiohttp  # noqa: F401

    if kind != "bare":
        pass
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        asyncio.run(bare(url, calls, media) if kind == "bare" else through_teacher(url, calls, media, Path(folder)))
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"wall_s": wall, "cpu_ms": cpu / calls * 1000}))


@contextmanager
def server() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def measure(calls: int, rounds: int, peers: dict[str, list[str]]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with server() as url:
        for media in (False, True):
            took: dict[str, list[dict[str, float]]] = {"bare": [], "hardcut": []}
            for _ in range(rounds):
                for kind in took:
                    command = [sys.executable, __file__, "--client", kind, "--url", url, "--calls", str(calls)]
                    done = subprocess.run([*command, *["--media"] * media], capture_output=True, text=True, check=True)
                    took[kind].append(json.loads(done.stdout))
                    print("media" if media else "small", kind, took[kind][-1], file=sys.stderr)
            wall = {kind: median(each["wall_s"] for each in all_) for kind, all_ in took.items()}
            cpu = {kind: median(each["cpu_ms"] for each in all_) for kind, all_ in took.items()}
            results["300 KiB of pictures" if media else "small"] = {
                "calls_per_s": {kind: round(calls / seconds, 1) for kind, seconds in wall.items()},
                "of_bare": round(wall["bare"] / wall["hardcut"], 3),
                "of_ideal": round(calls / AT_ONCE * LATENCY_S / wall["hardcut"], 3),
                "cpu_ms_a_call": {kind: round(value, 3) for kind, value in cpu.items()},
                "cpu_of_bare": round(cpu["hardcut"] / cpu["bare"], 2),
            }
        for name, command in peers.items():
            started = time.perf_counter()
            subprocess.run([*command, url, str(calls)], check=True, stdout=subprocess.DEVNULL)
            results[name] = {"wall_s": round(time.perf_counter() - started, 2)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON:SCRIPT")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--media", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve()
    if arguments.client:
        return client(arguments.client, arguments.url, arguments.calls, arguments.media)
    peers = {name: command.split(":", 1) for name, _, command in (peer.partition("=") for peer in arguments.peer)}
    results = {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "load_average_before": round(os.getloadavg()[0], 1),
        "server": {"seconds_a_call": LATENCY_S, "at_once": AT_ONCE, "calls": arguments.calls},
        "results": measure(arguments.calls, arguments.rounds, peers),
    }
    text = json.dumps(results, indent=2) + "\n"
    print(text, end="")
    (HERE / "results" / "saturation.json").write_text(text, encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
