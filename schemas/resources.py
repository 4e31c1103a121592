"""How a run is carried out: what it may spend, and how much of the machine and the servers it uses. No key has it."""

from __future__ import annotations

from pydantic import Field

from hardcut.schemas.base import Frozen


class Budget(Frozen):
    """Hard stops, counted over all starts of a run. None: no limit."""

    calls: int | None = Field(default=None, ge=0, description="teacher calls that may be sent")
    tokens: int | None = Field(
        default=None, ge=0, description="tokens of prompts and replies; what is in flight is added"
    )
    money: float | None = Field(default=None, ge=0, description="in the currency of teacher.price; likewise")


class Resources(Frozen):
    """How much of the machine and of the server is used. Never changes a result."""

    workers: int | None = Field(
        default=None, ge=1, description="processes that decode and read text, on each node; default: cores"
    )
    ray: str | None = Field(
        default=None,
        description="auto | HOST:PORT: the Ray cluster whose nodes have these processes; see docs/cluster.md",
    )
    concurrency: int = Field(default=64, ge=1, description="teacher requests in flight")
    frames_limit_bytes: int | None = Field(
        default=None, ge=1, description="size of the frame store, kept by evicting what was not used for longest"
    )
    decode_timeout_s: float = Field(default=300.0, gt=0, description="for one video in one worker")
    request_timeout_s: float = Field(default=300.0, gt=0)
    max_attempts: int = Field(default=6, ge=1, description="tries of one request, the first included")
    batch: int = Field(default=8, ge=1, description="transformers: prompts in one forward pass")
    max_model_len: int | None = Field(
        default=None, ge=1, description="vllm: tokens of prompt and reply; default: model's"
    )
    gpu_memory: float = Field(default=0.9, gt=0, le=1, description="vllm: share of the GPU's memory")
    metrics_file: str | None = Field(default=None, description="figures for programs, a line of JSON every 5 seconds")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="the same for Prometheus, on 127.0.0.1; needs hardcut[metrics]"
    )
    gpus: int = Field(default=1, ge=1, description="vllm: GPUs that one model is spread over")
    engines: int | None = Field(
        default=None, ge=1, description="ray: models in process at once, also without GPUs; default: what the GPUs take"
    )
