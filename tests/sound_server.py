"""A server for tests that names sounds over real HTTP, in a thread of its own: it looks at how high the sound is.

Load it by its path (see conftest.py); it is no part of Hardcut.
"""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from collections import deque

import numpy as np
from aiohttp import web


class TaggingServer:
    """Calls a piece of sound a whistle where its strongest tone is above 1 kHz, else a hum. Fails first with the
    statuses in `faults`. `reply` is said instead."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.faults: deque[int] = deque()
        self.reply: str | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    def __enter__(self) -> TaggingServer:
        threading.Thread(target=self._serve, daemon=True).start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        async def start() -> None:
            app = web.Application(client_max_size=2**25)
            app.router.add_post("/models/ast", self._answer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/models/ast"
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        with wave.open(io.BytesIO(await request.read())) as file:
            rate, sound = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        self.seconds.append(len(sound) / rate)
        if self.faults:
            return web.Response(status=self.faults.popleft(), headers={"Retry-After": "0"}, text="busy")
        if self.reply is not None:
            return web.Response(text=self.reply)
        highest = float(np.argmax(np.abs(np.fft.rfft(sound))) * rate / len(sound))
        high = 0.9 if highest > 1000 else 0.1
        return web.json_response([{"label": "Whistle", "score": high}, {"label": "Hum", "score": 1 - high}])
