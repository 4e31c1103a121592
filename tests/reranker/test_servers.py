"""Rerankers behind `/classify`, `/score` and `/rerank`, several at once, of which one goes away."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.pipeline.rerank import servers_of
from hardcut.reranker.reranking import score
from hardcut.reranker.servers import Form, ServerScorer
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.teacher.local.generation import Prompt, pair_prompt
from hardcut.teacher.server.keys import KeySource


class Server:
    """Scores a pair by the length of its query and the number of its frames. `refuses` is what it says to a request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        self.owner = ""
        """Who `/models` says that it is; nothing: there is no such address."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append({"path": self.path, **body})
                query = body["messages"][0]["content"] if "messages" in body else body.get("query", body.get("queries"))
                status, reply = outer.refuses.get(query, (200, ""))
                if status == 200 and not reply:
                    reply = json.dumps(outer.answer(self.path, query, body))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(reply.encode())

            def do_GET(self) -> None:
                self.send_response(200 if outer.owner else 404)
                self.end_headers()
                self.wfile.write(json.dumps({"data": [{"id": "m", "owned_by": outer.owner}]}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def answer(self, path: str, query: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/classify"):
            assert [each["role"] for each in body["messages"]] == ["query", "document"]
            document = body["messages"][1]
        else:
            document = body["documents"] if path.endswith("/score") else body["documents"][0]
        pictures = document["content"][0]["video_url"]["url"].removeprefix("data:video/jpeg;base64,").split(",")
        assert all(base64.b64decode(picture).startswith(b"\xff\xd8") for picture in pictures)
        value = len(query) + len(pictures) / 100
        if path.endswith("/classify"):
            return {"data": [{"index": 0, "probs": [value], "num_classes": 1}], "usage": {"prompt_tokens": 12}}
        if path.endswith("/score"):
            return {"data": [{"index": 0, "score": value}], "usage": {"prompt_tokens": 12}}
        return {"results": [{"index": 0, "relevance_score": value}]}

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made = [Server(), Server()]
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def prompts(tmp_path: Path) -> Callable[..., list[Prompt]]:
    def make(video: str, *queries: str) -> list[Prompt]:
        from PIL import Image

        frames = []
        for number in range(3):
            path = tmp_path / f"{video}-{number}.jpg"
            Image.fromarray(np.full((8, 8, 3), 20 * number, dtype=np.uint8)).save(path)
            frames.append((path, number / 2))
        return [pair_prompt(query, tuple(frames)) for query in queries]

    return make


def _scored(form: Form, urls: list[str], *of: list[Prompt]) -> list[Any]:
    async def run() -> list[Any]:
        scorer = ServerScorer(form, "m", urls, concurrency=4, timeout_s=20, keys=[KeySource() for _ in urls])
        try:
            return [await scorer.generate(prompts) for prompts in of]
        finally:
            await scorer.close()

    return asyncio.run(run())


@pytest.mark.parametrize("form", ["classify", "score", "rerank"])
def test_a_pair_is_asked_with_its_frames_at_their_times(form: Form, servers: list[Server], prompts: Any) -> None:
    (found,) = _scored(form, [servers[0].url], prompts("v", "a red square", "blue"))
    assert [score(each) for each in found] == [12.03, 4.03]
    asked = servers[0].asked[0]
    assert asked["path"] == ("/classify" if form == "classify" else f"/v1/{form}") and asked["use_activation"] is False
    assert asked["media_io_kwargs"]["video"]["frames_indices"] == [0, 500, 1000]
    assert asked["media_io_kwargs"]["video"]["num_frames"] == 3


def test_a_video_has_its_server_and_where_one_is_gone_the_others_take_over(servers: list[Server], prompts: Any) -> None:
    urls = [each.url for each in servers]
    many = [prompts(f"v{number}", "one", "two") for number in range(8)]
    _scored("score", urls, *many)
    assert all(each.asked for each in servers), "both are asked"
    videos = [{each["documents"]["content"][0]["video_url"]["url"] for each in of.asked} for of in servers]
    assert (len(servers[0].asked) + len(servers[1].asked) == 16 and not (videos[0] & videos[1])) or len(videos[0]) == 1
    servers[0].stop()
    found = _scored("score", urls, *many)
    assert all(score(each) == 3.03 for of in found for each in of)
    servers[1].stop()
    with pytest.raises(MissingDependency, match="no server of m is left"):
        _scored("score", urls, many[0])


def test_what_a_server_refuses_costs_its_pair(servers: list[Server], prompts: Any) -> None:
    servers[0].refuses = {"long": (400, '{"message": "too long"}'), "odd": (200, '{"data": []}')}
    (found,) = _scored("score", [servers[0].url], prompts("v", "long", "odd", "fine"))
    with pytest.raises(ItemError, match="too long"):
        score(found[0])
    with pytest.raises(ItemError, match="no scores"):
        score(found[1])
    assert score(found[2]) == 4.03


def test_a_server_that_breaks_down_over_a_pair_is_still_asked_for_others(
    servers: list[Server], prompts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardcut.reranker.servers._ATTEMPTS", 1)
    servers[0].refuses = {"hard": (500, "out of memory")}
    (found,) = _scored("score", [servers[0].url], prompts("v", "hard", "fine"))
    with pytest.raises(ItemError, match="500"):
        score(found[0])
    assert score(found[1]) == 4.03


def test_a_server_that_takes_no_times_of_frames_is_told(servers: list[Server], prompts: Any) -> None:
    servers[0].refuses = {"x": (400, "media_io_kwargs needs --trust-request-mm-kwargs")}
    with pytest.raises(UsageError, match="--trust-request-mm-kwargs"):
        _scored("score", [servers[0].url], prompts("v", "x"))


@pytest.mark.parametrize("form", ["score", "rerank"])
def test_vllm_is_not_asked_where_it_passes_over_the_times_of_frames(
    form: Form, servers: list[Server], prompts: Any
) -> None:
    servers[0].owner = "somebody"
    assert len(_scored(form, [servers[0].url], prompts("v", "x"))[0]) == 1
    servers[0].owner = "vllm"
    with pytest.raises(UsageError, match=f"classify:m@{servers[0].url}"):
        _scored(form, [servers[0].url], prompts("v", "x"))
    assert len(_scored("classify", [servers[0].url], prompts("v", "x"))[0]) == 1


def test_a_spec_names_form_model_and_addresses() -> None:
    found = servers_of("rerank:org/m@http://a:1/v1,http://b:2/v1")
    assert found is not None and (found.form, found.model) == ("rerank", "org/m")
    assert found.urls == ("http://a:1/v1", "http://b:2/v1")
    assert servers_of("vllm:m") is None and servers_of("models/score") is None
    with pytest.raises(UsageError, match="score:MODEL@URL"):
        servers_of("score:m")
