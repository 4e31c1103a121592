"""The world, the tiny model and the two processes of the reranker's tests, and a server of embeddings."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location(
    "hardcut_tests_reranker", Path(__file__).parents[1] / "reranker" / "conftest.py"
)
assert _spec and _spec.loader
shared = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = shared
_spec.loader.exec_module(shared)

world, blocks, tiny = shared.world, shared.blocks, shared.tiny
hardcut_command = shared.hardcut_command


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As the reranker's: skipped where what trains is not installed."""
    wanted = ("torch", "transformers", "peft", "accelerate", "sentence_transformers")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    for item in items:
        if missing and item.get_closest_marker("torch") and Path(item.fspath).parent.name == "embedder":
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} not installed: `make test-train`"))


class EmbeddingServer:
    """`/v1/embeddings` over real HTTP: each word adds a fixed direction. `fail` are the answers that come first."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fail: list[int] = []
        self.refuses = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> EmbeddingServer:
        self._thread.start()
        self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def vector(self, text: str) -> np.ndarray:
        total = np.zeros(16)
        for word in text.lower().split():
            seed = int.from_bytes(word.encode(), "little") % 2**32
            total += np.random.default_rng(seed).standard_normal(16)
        return total

    async def _answer(self, request: Any) -> Any:
        from aiohttp import web

        body = await request.json()
        if self.fail:
            return web.json_response({"error": "busy"}, status=self.fail.pop(0))
        self.asked.append(body)
        texts = body["input"] if "input" in body else [json.dumps(body["messages"])]
        if self.refuses and any(self.refuses in text for text in texts):
            return web.json_response({"error": {"message": "this text is too long"}}, status=400)
        data = [
            {"index": at, "object": "embedding", "embedding": self.vector(text).tolist()}
            for at, text in enumerate(texts)
        ]
        return web.json_response({"object": "list", "data": data[::-1], "model": body["model"]})

    def _run(self) -> None:
        from aiohttp import web

        asyncio.set_event_loop(self._loop)

        async def start() -> None:
            app = web.Application(client_max_size=2**26)
            app.router.add_post("/v1/embeddings", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        yield running
