"""vLLM's own server over a folder of weights, for tests: started on a free port, waited for, and ended."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "2",
}
"""vLLM's, on processors."""
NAME = "tiny"
"""What the server calls the model."""
_TRIES = 600


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def pooling_server(model: Path, *more: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a pooling server, up to `/v1`, that serves `model` by the name `tiny` with further options."""
    port = free_port()
    line = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--runner", "pooling",
        "--served-model-name", NAME, "--port", str(port), "--max-model-len", "2048", "--dtype", "float32",
        "--trust-request-mm-kwargs", "--enforce-eager", *more,
    ]  # fmt: skip
    server = subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL)
    try:
        _wait(server, f"http://127.0.0.1:{port}/v1/models")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def _wait(server: subprocess.Popen[bytes], models: str) -> None:
    for _ in range(_TRIES):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(models, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(1)
    raise AssertionError("the server did not start")
