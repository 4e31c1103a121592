"""A server for tests that speaks chat completions over real HTTP, in a thread of its own.

It answers out of the evidence in the prompt, as a model would that reads well, with log-probabilities; it can be told
to fail in every way that servers do; it counts what it was asked and what it served, by digest of the body; and it
keeps a cache of prompt prefixes, as vLLM does. Load it by its path (see conftest.py); it is no part of Hardcut.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hardcut.schemas.records import Sampling
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.rules.teacher import EvidenceTeacher
from hardcut.teacher.server.learning import SYSTEM


@dataclass(frozen=True)
class Fault:
    """One way to fail: a status (429, 500, …) with the server's `words` (a message, or a whole body), or drop, half,
    hang, not_json, wrong_json, wrong_schema, truncated, no_logprobs, no_top, no_yes, contrary, redirect, echo_key."""

    kind: str | int
    retry_after: str | None = None
    words: str | dict[str, Any] | None = None


@dataclass(frozen=True)
class Manner:
    """How one kind of server behaves, see dialect_servers.py.

    `refuses` gives status and body of what it does not take. `changes` makes its own reply out of ours. `listed` is
    what it says of its models. `tokenized` is what its `/tokenize` says to a text; None where it has none.
    `streams`: it answers as a stream only.
    """

    name: str
    refuses: Callable[[dict[str, Any]], tuple[int, Any] | None]
    changes: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda body, reply: reply
    listed: Any = None
    tokenized: Callable[[dict[str, Any]], Any] | None = None
    streams: bool = False
    usage: str | None = '{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}'


@dataclass
class TeacherServer:
    """Start it with `with TeacherServer() as server`. Counters may be read at any time."""

    latency_s: float = 0.0
    answer: Callable[[dict[str, Any]], str | None] = lambda body: None
    """The text to reply to a body with; None: out of the evidence."""
    faults: deque[Fault] = field(default_factory=deque)
    """What the next requests meet, in order; then all is well."""
    always: Fault | None = None
    models: tuple[str, ...] | None = ("some/model", "judge")
    """What it lists as its models; None: it lists none."""
    tokenizes: bool = False
    """Whether it tells a text's tokens, as vLLM does."""
    usage: str | None = '{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}'
    """The JSON of what a call took; None: it does not say."""
    refuses: Callable[[dict[str, Any]], str | None] = lambda body: None
    """The words of a 400 to a body that it does not take; None: it takes it."""
    manner: Manner | None = None
    keeps_pictures: bool = False
    """Whether it keeps a picture under its `uuid`, as vLLM does. Others take no picture that is not there."""
    options: frozenset[str] | None = None
    """The options that it knows; None: all. Others are refused, as strict servers do."""

    asked: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    small: list[dict[str, Any]] = field(default_factory=list)
    """The small questions of what it can do, which are in none of the others."""
    keys_seen: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)
    """The pictures that it keeps, by name."""
    pictures_sent: int = 0
    """Pictures that came whole."""
    refuses_until: float = 0.0
    refused: int = 0
    prefix_hits: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._prefixes: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="teacher server", daemon=True)
        self.url = ""

    def __enter__(self) -> TeacherServer:
        self._thread.start()
        assert self._ready.wait(10), "the teacher server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def fail(
        self, *kinds: str | int, retry_after: str | None = None, words: str | dict[str, Any] | None = None
    ) -> None:
        """Has the next requests fail, one after the other."""
        self.faults.extend(Fault(kind, retry_after, words) for kind in kinds)

    def fail_always(self, kind: str | int, words: str | dict[str, Any] | None = None) -> None:
        """Has every request fail from now on."""
        self.always = Fault(kind, None, words)

    def refuse(self, seconds: float) -> None:
        """Answers everything with 429 at once, for so long."""
        self.refuses_until = time.monotonic() + seconds

    @property
    def total_asked(self) -> int:
        return sum(self.asked.values())

    @property
    def total_served(self) -> int:
        return sum(self.served.values())

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/tokenize", self._tokenize)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        self._loop.run_until_complete(site.start())
        server = site._server
        assert isinstance(server, asyncio.Server)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _tokenize(self, request: web.Request) -> web.Response:
        """As vLLM does: a token for each of yes, no and Yes, letters for all else."""
        if self.manner and self.manner.tokenized:
            return web.json_response(self.manner.tokenized(await request.json()))
        if not self.tokenizes:
            return web.Response(status=404)
        prompt = (await request.json())["prompt"]
        known = {"yes": 11, "no": 12, "Yes": 13}
        return web.json_response({"tokens": [known[prompt]] if prompt in known else list(prompt.encode())})

    async def _list(self, request: web.Request) -> web.Response:
        self.keys_seen.add(request.headers.get("Authorization", ""))
        if self.manner and self.manner.listed is not None:
            return web.json_response(self.manner.listed)
        if self.models is None:
            return web.Response(status=405)
        return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        digest = hashlib.sha256(data).hexdigest()
        body = json.loads(data)
        if is_small(body):
            self.small.append(body)
            return await self._answered(request, body, "", self.always)
        self.asked[digest] += 1
        self.bodies.append(body)
        self.keys_seen.add(request.headers.get("Authorization", ""))
        if time.monotonic() < self.refuses_until:
            self.refused += 1
            return web.json_response({"error": {"message": "too many requests"}}, status=429)
        fault = self.faults.popleft() if self.faults else self.always
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(3600 if fault and fault.kind == "hang" else self.latency_s)
            return await self._answered(request, body, digest, fault)
        finally:
            self.in_flight -= 1

    async def _answered(
        self, request: web.Request, body: dict[str, Any], digest: str, fault: Fault | None
    ) -> web.StreamResponse:
        if fault and isinstance(fault.kind, int):
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            text = "logprobs are not supported" if fault.kind == 400 and "logprobs" in body else "no"
            said = fault.words if isinstance(fault.words, dict) else {"error": {"message": fault.words or text}}
            return web.json_response(said, status=fault.kind, headers=headers)
        if self.options is not None and (unknown := sorted(body.keys() - self.options)):
            said = {"error": {"message": f"Unrecognized request argument supplied: {unknown[0]}"}}
            return web.json_response(said, status=400)
        if (words := self.refuses(body)) is not None:
            return web.json_response({"error": {"message": words}}, status=400)
        if self.manner and (refused := self.manner.refuses(body)) is not None:
            return web.json_response(refused[1], status=refused[0])
        if (words := self._look_at_pictures(body)) is not None:
            return web.json_response({"error": {"message": words, "code": 400}}, status=400)
        kind = fault.kind if fault else None
        if kind == "redirect":
            to = (
                fault.words
                if fault and isinstance(fault.words, str) and "://" in fault.words
                else "http://192.0.2.1/v1"
            )
            return web.Response(status=307, headers={"Location": f"{to}/chat/completions"})
        if kind == "echo_key":
            return web.json_response({"error": f"bad key {request.headers.get('Authorization')}"}, status=400)
        if kind == "drop":
            assert request.transport
            request.transport.close()
            return web.Response()
        if kind == "not_json":
            return web.Response(text="<html>proxy error</html>", content_type="application/json")
        made, usage = await self._reply(body, kind), self.usage
        if self.manner:
            made, usage = self.manner.changes(body, made), self.manner.usage
        if self.manner and self.manner.streams:
            self.served.update([digest] if digest else [])
            return web.Response(body=streamed(made, usage), content_type="text/event-stream")
        reply = json.dumps(made).encode()
        if usage is not None:
            reply = reply[:-1] + f', "usage": {usage}}}'.encode()
        if kind == "half":
            response = web.StreamResponse(headers={"Content-Length": str(len(reply))})
            await response.prepare(request)
            await response.write(reply[: len(reply) // 2])
            assert request.transport
            request.transport.close()
            return response
        if digest:
            self.served[digest] += 1
        return web.Response(body=reply, content_type="application/json")

    async def _reply(self, body: dict[str, Any], kind: str | int | None) -> dict[str, Any]:
        body = in_parts(body)
        margin = 3.0
        if is_small(body):
            text: str | None = small_answer(body)
        else:
            self._look_up_prefix(body)
            text = self.answer(body)
        if text is None:
            text, margin = await read_and_answer(body)
        if kind == "wrong_json":
            text = '{"caption": "half'
        if kind == "wrong_schema":
            text = '{"something": "else"}'
        if kind == "truncated":
            text = text[: len(text) // 2]
        if kind == "contrary":
            text = re.sub("<answer>(yes|no)<", lambda found: f"<answer>{'no' if found[1] == 'yes' else 'yes'}<", text)
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "length" if kind == "truncated" else "stop",
        }
        if body.get("logprobs") and kind != "no_logprobs":
            choice["logprobs"] = {
                "content": logprobs(text, margin, body["top_logprobs"], kind == "no_yes", "logprob_token_ids" in body)
            }
            if kind == "no_top":
                choice["logprobs"]["content"] = [{**each, "top_logprobs": []} for each in choice["logprobs"]["content"]]
        return {"id": "x", "object": "chat.completion", "choices": [choice]}

    @staticmethod
    def prefix(body: dict[str, Any]) -> str:
        """What requests about one video share: all before the first question's last text, or before the pictures of
        another video that this one is compared with."""
        system, user = body["messages"][:2]
        shown = user["content"][:-1]
        other = (at for at, part in enumerate(shown) if part.get("text", "").startswith("<reference video"))
        return json.dumps([system, shown[: next(other, None)]])

    def _look_at_pictures(self, body: dict[str, Any]) -> str | None:
        """Keeps the pictures that come with a name; the words of a refusal where one does not come and is not kept."""
        keeps = self.keeps_pictures or (self.manner is not None and self.manner.name == "vllm")
        contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
        parts = [part for content in contents for part in content]
        for part in (part for part in parts if part["type"] == "image_url"):
            name, picture = part.get("uuid"), part["image_url"]
            if picture is None and not (keeps and name in self.kept):
                return f"multi_modal_data['image'] is empty, and nothing is kept under {name}"
            if picture is not None:
                self.pictures_sent += not is_small(body)
                if name:
                    self.kept.setdefault(name, picture["url"])
        return None

    def _look_up_prefix(self, body: dict[str, Any]) -> None:
        prefix = hashlib.sha256(self.prefix(body).encode()).hexdigest()
        self.prefix_hits += prefix in self._prefixes
        self._prefixes.add(prefix)


def streamed(reply: dict[str, Any], usage: str | None) -> bytes:
    """A reply as events: first who speaks, then some tokens at a time, why it ended, what it took, and the end."""
    [choice] = reply["choices"]
    tokens = (choice.get("logprobs") or {}).get("content") or []
    text = choice["message"]["content"]
    pieces = [each["token"] for each in tokens] or re.findall(r".{1,40}", text, re.DOTALL)
    head = {"id": "x", "object": "chat.completion.chunk"}

    def event(delta: dict[str, Any], **more: Any) -> bytes:
        chunk = {**head, "choices": [{"index": 0, "delta": delta, **more}], "usage": None}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    events = [b": ping\n\n", event({"role": "assistant", "content": ""})]
    for at, piece in enumerate(pieces):
        logprobs = {"content": [tokens[at]]} if tokens else None
        events.append(event({"content": piece}, logprobs=logprobs, finish_reason=None))
    events.append(event({}, finish_reason=choice["finish_reason"]))
    events.append(b"data: " + json.dumps({**head, "choices": []}).encode()[:-1] + f', "usage": {usage}}}\n\n'.encode())
    return b"".join([*events, b"data: [DONE]\n\n"])


def is_small(body: dict[str, Any]) -> bool:
    """Whether a body asks what the server can do, and nothing of a video."""
    return SYSTEM in json.dumps(body["messages"][0])


def small_answer(body: dict[str, Any]) -> str:
    """What such a question tells to reply."""
    if body["messages"][-1]["role"] == "assistant":  # it begins with <answer>
        return "yes"
    asked = json.dumps(body["messages"])
    return '{"short": "ready", "claims": []}' if "JSON object {" in asked else "<answer>yes</answer>"


def in_parts(body: dict[str, Any]) -> dict[str, Any]:
    """A body with a system text, and the user's content in parts, however it was sent."""
    messages = [
        {**each, "content": [{"type": "text", "text": each["content"]}]}
        if each["role"] == "user" and isinstance(each["content"], str)
        else each
        for each in body["messages"]
    ]
    return {**body, "messages": messages if messages[0]["role"] == "system" else [{"role": "system"}, *messages]}


async def read_and_answer(body: dict[str, Any]) -> tuple[str, float]:
    """The reply of a model that knows the evidence in its prompt and nothing else, and a judge's margin."""
    user = body["messages"][1]["content"][-1]["text"]

    def fenced(name: str, default: Any = None) -> Any:
        found = re.search(rf"<{name}>\n(.*?)\n</{name}>", user, re.DOTALL)
        return json.loads(found[1]) if found else default

    def number(pattern: str) -> float:
        found = re.search(pattern, user)
        assert found, f"no {pattern} in the prompt"
        return float(found[1])

    usual = "caption" if "Write a caption" in user else "judge"
    schema = body.get("response_format", {}).get("json_schema", {}).get("name", usual)
    fences = {name: fenced(name) for name in re.findall(r"^<([a-z]+)>$", user, re.MULTILINE)}
    inputs: dict[str, Any] = dict(fences)
    if "evidence" in fences:
        inputs["video"] = {"duration_s": number(r"The video is ([\d.]+) seconds")}
    if schema in ("caption", "queries", "compose", "paraphrase", "contrast", "counterfactual"):
        inputs["max_words"] = int(number(r"[Aa]t most (\d+) words"))
    if schema == "queries":
        view = re.search(r'for the view "([a-z]+)", of', user)
        assert view
        inputs |= {"view": view[1], "per_view": int(number(r"at most (\d+) quer"))}
        inputs.setdefault("evidence", [])
        inputs["video"] = {"duration_s": number(r"The video is ([\d.]+) seconds")}
    elif schema == "paraphrase":
        inputs["count"] = int(number(r"Write (\d+)"))
    elif schema == "counterfactual":
        inputs.setdefault("rejected", [])
    elif schema == "judge":
        inputs.setdefault("caption", None)
    (outcome,) = await EvidenceTeacher().complete([Request(schema, inputs, Sampling())])
    assert isinstance(outcome, Reply)
    answer = outcome.answer
    if answer is None or answer.logprob_yes is None or answer.logprob_no is None:
        return outcome.text, 0.0
    return outcome.text, answer.logprob_yes - answer.logprob_no


def logprobs(
    text: str, margin: float, top: int, without_other: bool = False, by_id: bool = False
) -> list[dict[str, Any]]:
    """Tokens of `text` with alternatives; those of the answer carry `margin`, all others a misleading yes and no."""
    tokens = re.findall(r"</?|\w+|>|\s+|[^\w\s<>]+", text)
    answers = [
        at for at, token in enumerate(tokens) if token in ("yes", "no") and tokens[at - 2 : at] == ["answer", ">"]
    ]
    entries = []
    for at, token in enumerate(tokens):
        shown = {"yes": -1.0, "no": -1.0}
        if answers and at == answers[-1]:
            shown = {"yes": -math.log1p(math.exp(-margin)), "no": -math.log1p(math.exp(margin))}
            if without_other:
                shown = {token: shown[token]}
        if by_id:
            shown["Yes"] = -40.0
        shown |= {f"w{i}": -30.0 - i for i in range(top - len(shown))}
        listed = [{"token": word, "logprob": value, "bytes": list(word.encode())} for word, value in shown.items()]
        entries.append(
            {"token": token, "logprob": shown.get(token, -0.01), "bytes": list(token.encode()), "top_logprobs": listed}
        )
    return entries
