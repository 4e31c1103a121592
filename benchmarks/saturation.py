"""How much of a server's capacity a teacher uses, with every reply durable and every call booked.

    python benchmarks/saturation.py [--calls 6000] [--rounds 3] [--peers .venv-peers]

A fake server in a process of its own answers 64 calls at once, 0.2 s each. It is asked in three ways, in turns, each in
a process of its own: small requests, 300 KiB of pictures a request, and replies of 300 tokens with their alternatives
(400 KB; a tenth of the calls); ratios are of medians:

* `bare`, the yardstick: what one would write by hand. 64 tasks that fill in the prompt with the video's evidence and
  the query, read and encode the pictures from their files, post with aiohttp's `json=`, and take the verdict and its
  log-probabilities out of the answer's JSON. Nothing is checked, tried again, kept or counted.
* `ready`, a floor: 64 tasks that post one and the same ready body and parse the JSON of the answers.
* `hardcut`: through `CachedTeacher`, four queries a video: prompt filled in, key made, looked up in the cache, call
  booked, reply checked, kept and flushed, tokens booked.

Other tools' figures come from the same run where `peers/make.sh` could install them. Writes
`results/saturation.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import platform
import re
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
PROMPTS = HERE.parent / "teacher" / "prompts" / "templates"
SYSTEM, USER = PROMPTS / "judge.system.txt.jinja", PROMPTS / "judge.user.txt.jinja"
FRAMES, FRAME_BYTES = 4, 75 * 1024
SIZES = {"small": "small", "pictures": "300 KiB of pictures", "reasoning": "replies of 300 tokens"}
ANSWER_TOKENS = ("<answer>", "yes", "</answer>")


def reply(words: int) -> bytes:
    """A judge's reply after so many tokens of reasoning, each with its 20 likeliest alternatives."""

    def token(text: str, top: dict[str, float]) -> dict[str, Any]:
        listed = [{"token": each, "logprob": value, "bytes": list(each.encode())} for each, value in top.items()]
        return {"token": text, "logprob": -0.1, "bytes": list(text.encode()), "top_logprobs": listed}

    content = [token(f" w{n}", {f" t{other}": -0.1 - other for other in range(20)}) for n in range(words)]
    content += [token(text, {"yes": -0.1, "no": -2.4} if text == "yes" else {}) for text in ANSWER_TOKENS]
    message = {"role": "assistant", "content": "".join(each["token"] for each in content)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}}
    usage = {"prompt_tokens": 100, "completion_tokens": len(content), "total_tokens": 100 + len(content)}
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(answer).encode()


def serve(size: str) -> None:
    """The fake server; prints its port. Takes no time of its own beyond reading the request."""
    from aiohttp import web

    room, body = asyncio.Semaphore(AT_ONCE), reply(300 if size == "reasoning" else 0)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        async with room:
            await asyncio.sleep(LATENCY_S)
        return web.Response(body=body, content_type="application/json")

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def main() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", answer)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
        await asyncio.Event().wait()

    asyncio.run(main())


class Stopwatch:
    """Wall and CPU seconds of this process between entering and leaving."""

    def __enter__(self) -> Stopwatch:
        self._started, self._before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        return self

    def __exit__(self, *_: object) -> None:
        after = resource.getrusage(resource.RUSAGE_SELF)
        self.wall_s = time.perf_counter() - self._started
        self.cpu_s = after.ru_utime + after.ru_stime - self._before.ru_utime - self._before.ru_stime


def inputs(video: int) -> dict[str, Any]:
    """What a judge is told of a video."""
    lines = [
        {"id": f"e{video}-{n}", "kind": "ocr", "text": f"line {n}", "start": 1.0, "end": 2.0, "confidence": 0.9}
        for n in range(6)
    ]
    return {"video": {"duration_s": 20.0}, "evidence": lines, "caption": f"video {video}"}


def pictures(folder: Path, media: bool) -> list[Path]:
    """The stored frames of a video, JPEGs of noise."""
    paths = [folder / f"{number}.jpg" for number in range(FRAMES if media else 0)]
    for path in paths:
        path.write_bytes(os.urandom(FRAME_BYTES))
    return paths


async def bare(url: str, calls: int, media: bool, folder: Path, watch: Stopwatch) -> None:
    """What one would write by hand for one evening: 64 tasks, each of which fills in the prompt, encodes the pictures,
    posts, and takes the verdict and its two log-probabilities out of the reply."""
    import aiohttp

    paths = pictures(folder, media)
    system, template = SYSTEM.read_text("utf-8"), USER.read_text("utf-8")
    numbers = iter(range(calls))
    verdicts: list[tuple[str, dict[str, float]]] = []

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            told = inputs(number // QUERIES)
            text = template.replace("{{ video.duration_s }}", str(told["video"]["duration_s"]))
            text = text.replace("{{ evidence | data }}", json.dumps(told["evidence"]))
            text = text.replace("{{ caption | data }}", json.dumps(told["caption"]))
            text = text.replace("{{ query | data }}", json.dumps(f"query {number % QUERIES}"))
            content: list[dict[str, Any]] = []
            for at, path in enumerate(paths):
                content.append({"type": "text", "text": f"<{at:.1f} s>"})
                picture = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
                content.append({"type": "image_url", "image_url": {"url": picture}})
            content.append({"type": "text", "text": text})
            messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
            body: dict[str, Any] = {"model": "m", "messages": messages, "logprobs": True, "top_logprobs": 20}
            body |= {"temperature": 0.0, "max_tokens": 1024, "seed": 0}
            async with session.post(url + "/chat/completions", json=body) as response:
                choice = (await response.json())["choices"][0]
            answer = re.search(r"<answer>(yes|no)</answer>", choice["message"]["content"])
            tokens = [token for token in choice["logprobs"]["content"] if token["token"] in ("yes", "no")]
            assert answer
            verdicts.append((answer[1], {top["token"]: top["logprob"] for top in tokens[-1]["top_logprobs"]}))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with watch:
            await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))
    assert len(verdicts) == calls


async def ready(url: str, calls: int, media: bool, folder: Path, watch: Stopwatch) -> None:
    """64 tasks that post one and the same ready body: what no client with more than one question can do, the least that
    aiohttp costs."""
    import aiohttp

    text = {"type": "text", "text": "Does the video answer the query?" * 75}
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()}}
        for data in (path.read_bytes() for path in pictures(folder, media))
    ]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [*parts, text]}]}).encode()
    numbers = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            headers = {"Content-Type": "application/json"}
            async with session.post(url + "/chat/completions", data=body, headers=headers) as response:
                assert json.loads(await response.read())["choices"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with watch:
            await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))


async def through_teacher(url: str, calls: int, media: bool, folder: Path, watch: Stopwatch) -> None:
    """What a run does for each call, without decoding."""
    from hardcut.engine.budget import CallBudget, current_stage
    from hardcut.engine.ledger import Ledger
    from hardcut.engine.reply_cache import ReplyCache
    from hardcut.media.frames import Frame
    from hardcut.schemas.records import Sampling
    from hardcut.schemas.settings import Budget, Resources, TeacherSettings
    from hardcut.teacher.protocol import Reply, Request
    from hardcut.teacher.registry import open_teacher

    current_stage.set("scores")
    frames = [
        Frame(path, float(number), hashlib.sha256(path.read_bytes()).hexdigest())
        for number, path in enumerate(pictures(folder, media))
    ]
    videos = iter(range(calls // QUERIES))

    def requests(video: int) -> list[Request]:
        common, sampling = inputs(video), Sampling()
        return [
            Request("judge", {**common, "query": f"query {query}"}, sampling, tuple(frames)) for query in range(QUERIES)
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

        with watch:
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        await teacher.close()
        kept = replies._database.read("SELECT count(*) FROM reply")[0][0]
        assert kept == calls, f"{kept} of {calls} replies are durable"


def client(kind: str, url: str, calls: int, size: str) -> None:
    """One measurement in this process, from the first call to the last durable reply; prints it. Imports, opening
    and closing are not measured."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        drive = {"bare": bare, "ready": ready, "hardcut": through_teacher}[kind]
        asyncio.run(drive(url, calls, size == "pictures", Path(folder), watch))
    print(json.dumps({"wall_s": watch.wall_s, "cpu_ms": watch.cpu_s / calls * 1000}))


@contextmanager
def server(size: str = "small") -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", "--size", size]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


KINDS = ("bare", "ready", "hardcut")


def measure(calls: int, rounds: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for size, told in SIZES.items():
        sent = calls // 10 if size == "reasoning" else calls
        took: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        with server(size) as url:
            for _ in range(rounds):
                for kind in KINDS:
                    command = [sys.executable, __file__, "--client", kind, "--size", size, "--url", url]
                    done = subprocess.run([*command, "--calls", str(sent)], capture_output=True, text=True, check=True)
                    took[kind].append(json.loads(done.stdout))
                    print(size, kind, took[kind][-1], file=sys.stderr)
        wall = {kind: median(each["wall_s"] for each in all_) for kind, all_ in took.items()}
        cpu = {kind: median(each["cpu_ms"] for each in all_) for kind, all_ in took.items()}
        results[told] = {
            "calls_per_s": {kind: round(sent / seconds, 1) for kind, seconds in wall.items()},
            "of_bare": round(wall["bare"] / wall["hardcut"], 3),
            "of_ready": round(wall["ready"] / wall["hardcut"], 3),
            "of_ideal": round(sent / AT_ONCE * LATENCY_S / wall["hardcut"], 3),
            "cpu_ms_a_call": {kind: round(value, 3) for kind, value in cpu.items()},
            "cpu_of_bare": round(cpu["hardcut"] / cpu["bare"], 2),
            "cpu_of_ready": round(cpu["hardcut"] / cpu["ready"], 2),
        }
    return results


def measure_peers(calls: int, folder: Path) -> dict[str, Any]:
    """Calls a second of each tool of `peers/`, small requests, a server of its own each; why not, where it cannot
    run."""
    results: dict[str, Any] = {}
    for script in sorted((HERE / "peers").glob("*_client.py")):
        name = script.stem.removesuffix("_client")
        python, skipped = folder / name / "bin" / "python", folder / f"{name}.skipped"
        if not python.exists():
            results[name] = f"not installed: {skipped.read_text().strip() if skipped.exists() else 'see peers/make.sh'}"
            continue
        with server() as url, tempfile.TemporaryDirectory() as home:
            environment = {**os.environ, "HOME": home, "HF_HUB_OFFLINE": "1"}
            command = [python, script, url, str(calls)]
            try:
                done = subprocess.run(
                    command, cwd=home, env=environment, capture_output=True, text=True, timeout=600, check=False
                )
            except subprocess.TimeoutExpired:
                results[name] = "did not end within 600 s"
                continue
        if done.returncode:
            results[name] = f"failed: {(done.stderr.strip() or 'without a word').splitlines()[-1]}"
            continue
        seconds = json.loads(done.stdout.splitlines()[-1])["wall_s"]
        results[name] = {
            "calls_per_s": round(calls / seconds, 1),
            "of_ideal": round(calls / AT_ONCE * LATENCY_S / seconds, 3),
        }
        print(name, results[name], file=sys.stderr)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".venv-peers", help="made by peers/make.sh")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--size", choices=SIZES, default="small", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.size)
    if arguments.client:
        return client(arguments.client, arguments.url, arguments.calls, arguments.size)
    results = {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "load_average_before": round(os.getloadavg()[0], 1),
        "server": {"seconds_a_call": LATENCY_S, "at_once": AT_ONCE, "calls": arguments.calls},
        "results": measure(arguments.calls, arguments.rounds),
        "peers, small requests": measure_peers(arguments.calls, arguments.peers),
    }
    text = json.dumps(results, indent=2) + "\n"
    print(text, end="")
    (HERE / "results" / "saturation.json").write_text(text, encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
