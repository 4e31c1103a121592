"""Scores of servers: `/classify` (vLLM's pooling runner), `/score`, and `/rerank` (Jina, Cohere,
text-embeddings-inference).

A server has the model's prompt: it is given the query and the video's frames, and nothing of a prompt. All queries of a
video go to one server, which may keep what it has read; where one is gone, the others take over.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from hardcut.engine.retry import with_retries
from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Tokens
from hardcut.teacher.local.generation import GenerationFailed, Prompt, Scored
from hardcut.teacher.local.pair_prompt import MILLISECONDS
from hardcut.teacher.server.faults import NoConnection, RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource

Form = Literal["classify", "score", "rerank"]
FORMS: tuple[Form, ...] = ("classify", "score", "rerank")
_ATTEMPTS = 4
_ONE_VIDEO = "a server is shown one video a pair, and a composed query starts from another: use transformers: or vllm:"
_UNTRUSTED = "mm-kwargs"
"""What vLLM says where a request may not give the times of frames."""


class _Score(BaseModel):
    score: float


class _Scores(BaseModel):
    data: list[_Score] = Field(min_length=1)


class _Class(BaseModel):
    probs: list[float] = Field(min_length=1, max_length=1)


class _Classes(BaseModel):
    data: list[_Class] = Field(min_length=1)


class _Result(BaseModel):
    relevance_score: float


class _Results(BaseModel):
    results: list[_Result] = Field(min_length=1)


class ServerScorer:
    """A model behind one or several addresses, each `/v1` of a server."""

    def __init__(
        self,
        form: Form,
        model: str,
        urls: Sequence[str],
        *,
        concurrency: int,
        timeout_s: float,
        keys: Sequence[KeySource],
    ) -> None:
        self._form, self._model = form, model
        self._endpoints = [
            Endpoint(url, concurrency=concurrency, timeout_s=timeout_s, key=key)
            for url, key in zip(urls, keys, strict=True)
        ]
        self._asked = form == "classify"
        """Whether it is known that the servers take the times of frames, or that nobody can say."""
        self._free = asyncio.Semaphore(concurrency * len(urls))
        self._gone: set[int] = set()

    async def generate(self, prompts: Sequence[Prompt]) -> list[Scored | GenerationFailed]:
        """The score of each pair. Raises MissingDependency where no server answers, UsageError where one does not take
        the times of frames."""
        if not prompts:
            return []
        if not self._asked:
            self._asked = True
            await asyncio.gather(*map(self._refuse_vllm, self._endpoints))
        if prompts[0].reference:  # all of one video and one reference
            return [GenerationFailed("reference", _ONE_VIDEO)] * len(prompts)
        video = await asyncio.to_thread(_video_part, prompts[0].frames)
        first = int(digest(*(path.name for path, _ in prompts[0].frames))[:8], 16) % len(self._endpoints)

        async def one(prompt: Prompt) -> Scored | GenerationFailed:
            async with self._free:
                return await self._ask(self._body(prompt.user, video), first)

        return list(await asyncio.gather(*(one(prompt) for prompt in prompts)))

    async def close(self) -> None:
        """Closes all connections."""
        for endpoint in self._endpoints:
            await endpoint.close()

    async def _refuse_vllm(self, endpoint: Endpoint) -> None:
        """vLLM's `/score` and `/rerank` pass over what is said of the frames' times, without a word (0.32)."""
        try:
            listed = json.loads(await endpoint.get("/models"))
            owners = {str(each.get("owned_by")) for each in listed["data"]}
        except (UsageError, RequestFailed, RequestRejected, ValueError, KeyError, TypeError, AttributeError):
            return  # many have no such list; whoever is asked for scores says whether it is there
        if "vllm" in owners:
            raise UsageError(
                f"{endpoint.url} is vLLM, whose /{self._form} shows frames at times of its own: ask it by "
                f"classify:{self._model}@{endpoint.url}"
            )

    async def _ask(self, body: bytes, first: int) -> Scored | GenerationFailed:
        """From the video's own server, or the next one that is there."""
        count = len(self._endpoints)
        order = [at for at in ((first + step) % count for step in range(count)) if at not in self._gone]
        last: Exception | None = None
        failed: GenerationFailed | None = None
        for at in order:
            endpoint = self._endpoints[at]
            try:
                post = partial(endpoint.post, f"/{self._form}", body, root=self._form == "classify")
                reply = await with_retries(post, attempts=_ATTEMPTS)
                return _read(reply, self._form)
            except NoConnection as error:
                self._gone.add(at)
                last = error
            except RequestFailed as error:  # it is there, and broke down over this: another one may not
                failed = GenerationFailed(error.reason, f"{endpoint.url}: {error}")
            except RequestRejected as error:
                if _UNTRUSTED in error.raw.replace("_", "-"):
                    told = "start vLLM with --trust-request-mm-kwargs, or it takes frames for others than they are"
                    raise UsageError(f"{endpoint.url} does not take the times of frames: {told}") from error
                return GenerationFailed(f"http_{error.status}", f"{endpoint.url}: {error}")
            except ValidationError:
                what = "results" if self._form == "rerank" else "scores"
                return GenerationFailed("invalid_reply", f"{endpoint.url} answered with no {what}")
        if failed is not None:
            return failed
        said = f"{last}: " if last else ""
        raise MissingDependency(f"{said}no server of {self._model} is left: start one, then start again to go on")

    def _body(self, query: str, video: dict[str, Any]) -> bytes:
        document = {"content": video["content"]}
        more = {name: value for name, value in video.items() if name != "content"}
        asked: dict[str, Any] = {"model": self._model, "use_activation": False, **more}
        if self._form == "classify":
            messages = [{"role": "query", "content": query}, {"role": "document", **document}]
            return json.dumps({**asked, "messages": messages, "add_generation_prompt": True}).encode()
        if self._form == "score":
            return json.dumps({**asked, "queries": query, "documents": document}).encode()
        return json.dumps({**asked, "query": query, "documents": [document], "top_n": 1}).encode()


def _video_part(frames: Sequence[tuple[Path, float]]) -> dict[str, Any]:
    """The frames as a video with their true times. Without the times a server takes the frames for others, and cuts off
    what is beyond its own number of them."""
    pictures = ",".join(b64encode(path.read_bytes()).decode() for path, _ in frames)
    indices = [round(time * MILLISECONDS) for _, time in frames]
    times = {
        "fps": MILLISECONDS,
        "total_num_frames": indices[-1] + 1,
        "duration": frames[-1][1],
        "frames_indices": indices,
        "num_frames": len(frames),
    }
    return {
        "content": [{"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{pictures}"}}],
        "media_io_kwargs": {"video": times},
        "mm_processor_kwargs": {"do_sample_frames": False},
    }


def _read(reply: bytes, form: Form) -> Scored:
    if form == "classify":
        value = _Classes.model_validate_json(reply).data[0].probs[0]
    elif form == "score":
        value = _Scores.model_validate_json(reply).data[0].score
    else:
        value = _Results.model_validate_json(reply).results[0].relevance_score
    usage = json.loads(reply).get("usage") or {}
    return Scored(value, Tokens(prompt=int(usage.get("prompt_tokens") or usage.get("total_tokens") or 0), completion=0))
