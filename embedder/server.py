"""Vectors of a server: `/v1/embeddings`, by plain texts (OpenAI) or by messages (vLLM's pooling runner)."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from hardcut.embedder.encoders import Role, Shown
from hardcut.engine.background import background
from hardcut.engine.retry import with_retries
from hardcut.engine.vectors import unit
from hardcut.schemas.errors import ItemError, MissingDependency
from hardcut.teacher.server.faults import NoConnection, RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource

if TYPE_CHECKING:
    from hardcut.engine.vectors import Matrix

Form = Literal["openai", "pooling"]
"""How a server is asked. `openai`: with lists of texts. `pooling`: with one message a request, which the server's chat
template makes a prompt of; it takes videos too."""
_TEXTS = 64
"""Texts in one request."""
_ATTEMPTS = 6


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Reply(BaseModel):
    data: list[_Vector]


class ServerEncoder:
    """A model behind `url`, which is `/v1` of a server."""

    def __init__(self, model: str, url: str, form: Form, *, concurrency: int, timeout_s: float, key: KeySource) -> None:
        self._model, self._form = model, form
        self._concurrency = concurrency
        self._endpoint = Endpoint(url, concurrency=concurrency, timeout_s=timeout_s, key=key)
        self.sees = form == "pooling"
        self.batch = concurrency * (1 if self.sees else _TEXTS)

    def encode(self, items: Sequence[Shown], role: Role) -> Matrix:
        """Vectors of length 1. Raises ItemError where the server refuses these, MissingDependency where nobody answers,
        and what concerns the account (`faults.fault_of`)."""
        found = background.run(self._encode(items))
        try:
            return unit(found)
        except ValueError as error:
            raise ItemError("no_vector", f"{self._endpoint.url}: {error}") from error

    def close(self) -> None:
        background.run(self._endpoint.close())

    async def _encode(self, items: Sequence[Shown]) -> list[list[float]]:
        if self.sees:
            bodies = [(1, self._message(item)) for item in items]
        else:
            texts = [item.text or "" for item in items]
            parts = [texts[at : at + _TEXTS] for at in range(0, len(texts), _TEXTS)]
            bodies = [(len(part), {"model": self._model, "input": part}) for part in parts]
        free = asyncio.Semaphore(self._concurrency)

        async def one(count: int, body: dict[str, Any]) -> list[list[float]]:
            async with free:
                return await self._ask(count, body)

        answers = await asyncio.gather(*(one(count, body) for count, body in bodies))
        return [vector for answer in answers for vector in answer]

    async def _ask(self, count: int, body: dict[str, Any]) -> list[list[float]]:
        """The vectors of one request, in the order of its texts."""
        data = json.dumps(body).encode()
        try:
            reply = await with_retries(partial(self._endpoint.post, "/embeddings", data), attempts=_ATTEMPTS)
            told = _Reply.model_validate_json(reply)
        except NoConnection as error:
            raise MissingDependency(f"{error}: start the server or mend the address, then start again") from error
        except RequestFailed as error:
            raise MissingDependency(f"{error}: mend the server, then start again to go on") from error
        except RequestRejected as error:
            raise ItemError(f"http_{error.status}", f"{self._endpoint.url}: {error}", error.raw) from error
        except ValidationError as error:
            raise ItemError("invalid_reply", f"{self._endpoint.url} answered with no embeddings") from error
        found = [each.embedding for each in sorted(told.data, key=lambda each: each.index)]
        if len(found) != count:
            raise ItemError("invalid_reply", f"{self._endpoint.url} answered {count} texts with {len(found)} vectors")
        return found

    def _message(self, item: Shown) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        if item.clip is not None:
            pictures = ",".join(b64encode(picture).decode() for picture in item.pictures)
            content.append({"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{pictures}"}})
            # Without these the server takes the frames for others, and cuts off what is beyond its own number of them.
            given = {**item.clip.metadata, "num_frames": len(item.clip.times_s)}
            more = {"media_io_kwargs": {"video": given}, "mm_processor_kwargs": {"do_sample_frames": False}}
        if item.text is not None:
            content.append({"type": "text", "text": item.text})
        return {"model": self._model, "messages": [{"role": "user", "content": content}], **more}
