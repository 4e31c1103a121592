"""A server for tests that speaks `/audio/transcriptions` over real HTTP, in a thread of its own.

Load it by its path (see conftest.py); it is no part of Hardcut.
"""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from collections import deque
from typing import Any

from aiohttp import web


class TranscriptionServer:
    """Says of each request one segment over all of its sound; fails first with the statuses in `faults`, with the
    server's `words`."""

    def __init__(self) -> None:
        self.forms: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: deque[int] = deque()
        self.reply: str | None = None
        self.always: int | None = None
        self.words = "busy"
        self.retry_after = "0"
        self.latency_s = 0.0
        self.in_flight = self.most_in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    def __enter__(self) -> TranscriptionServer:
        threading.Thread(target=self._serve, daemon=True).start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        async def start() -> None:
            app = web.Application(client_max_size=2**25)
            app.router.add_post("/v1/audio/transcriptions", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        form = await request.post()
        await asyncio.sleep(self.latency_s)
        self.in_flight -= 1
        sound = form["file"]
        assert isinstance(sound, web.FileField)
        with wave.open(io.BytesIO(sound.file.read())) as file:
            seconds = file.getnframes() / file.getframerate()
        self.forms.append({**{k: v for k, v in form.items() if k != "file"}, "seconds": seconds})
        if status := self.faults.popleft() if self.faults else self.always:
            said = self.words.replace("KEY", request.headers.get("Authorization", ""))
            return web.Response(status=status, headers={"Retry-After": self.retry_after}, text=said)
        if self.reply is not None:
            return web.Response(text=self.reply)
        segment = {"id": 0, "start": 0.5, "end": seconds, "text": f" piece {len(self.forms)}", "avg_logprob": -0.1}
        return web.json_response({"task": "transcribe", "language": "en", "duration": seconds, "segments": [segment]})
