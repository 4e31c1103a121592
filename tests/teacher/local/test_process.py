"""The process that a model runs in: it is never waited for in vain, and never outlives us.

Needs torch and transformers (`make test-vllm`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardcut.schemas.errors import MissingDependency
from hardcut.schemas.records import Sampling
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt
from hardcut.teacher.local.process import ModelProcess

pytestmark = [
    pytest.mark.torch,
    pytest.mark.timeout(600),  # an engine starts in half a minute of a quiet core
    pytest.mark.skipif(
        not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")),
        reason="torch and transformers are not installed",
    ),
]


def open_process(model: Path) -> ModelProcess:
    return ModelProcess("transformers", ModelOptions(str(model), None, 4, None, 0.9, 1, batch=4))


def prompts(number: int) -> list[Prompt]:
    """Each takes the tiny model a few hundredths of a second, and is 2 kB on its way there."""
    return [Prompt("", f"{n} red green blue " * 120, (), Sampling(), judge=True) for n in range(number)]


async def loaded(model: Path) -> ModelProcess:
    process = open_process(model)
    assert all(isinstance(each, Generated) for each in await process.generate(prompts(1)))
    return process


def gone(pid: int) -> bool:
    """Whether a process ends within 5 s."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


async def test_what_is_asked_while_it_works_is_taken_at_once_and_closing_does_not_wait(model: Path) -> None:
    process = await loaded(model)
    busy = asyncio.create_task(process.generate(prompts(400)))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    more = [asyncio.create_task(process.generate(prompts(100))) for _ in range(10)]  # 2 MB: more than a pipe holds
    await asyncio.sleep(0)
    assert time.monotonic() - began < 0.5 and not busy.done(), "nobody else was kept waiting"
    began = time.monotonic()
    await process.close()
    assert time.monotonic() - began < 5
    for result in await asyncio.gather(busy, *more, return_exceptions=True):
        assert isinstance(result, MissingDependency) and "was closed" in str(result)
    assert gone(process._process.pid)


async def test_what_is_done_is_handed_back_while_the_model_goes_on(model: Path) -> None:
    process = await loaded(model)
    jobs = [asyncio.create_task(process.generate(prompts(10 + n))) for n in range(20)]
    await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    assert jobs[0].done() and not jobs[-1].done() and not jobs[10].done()
    os.kill(process._process.pid, signal.SIGKILL)
    results = await asyncio.gather(*jobs)
    assert len(results[0]) == 10 and all(isinstance(each, Generated) for each in results[0])
    assert isinstance(results[-1][0], GenerationFailed)
    assert await process.generate([]) == []
    await process.close()


@pytest.mark.vllm
@pytest.mark.timeout(600)
@pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vllm is not installed: `make test-vllm`")
async def test_what_is_asked_of_vllm_joins_what_is_under_way(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for one word is not kept waiting by those who are told a long story."""
    for name, value in {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "2"}.items():
        monkeypatch.setenv(name, value)
    process = ModelProcess("vllm", ModelOptions(str(model), None, 4, 2048, 0.3, 1, batch=4))
    word = Prompt("", "red green", (), Sampling(reasoning=False), judge=True)
    assert isinstance((await process.generate([word]))[0], Generated)
    numbers = {"type": "array", "items": {"type": "integer"}, "minItems": 900}
    story, ended = Prompt("", "red green blue", (), Sampling(), judge=False, schema=numbers, limit=1900), list[str]()

    def asked(name: str, prompts: list[Prompt]) -> asyncio.Task[list[Generated | GenerationFailed]]:
        task = asyncio.create_task(process.generate(prompts), name=name)
        task.add_done_callback(lambda _: ended.append(name))
        return task

    stories = asked("stories", [story] * 12)
    await asyncio.sleep(0.2)  # they are under way
    words = [asked("word", [word]) for _ in range(5)]
    for (answer,) in await asyncio.gather(*words):
        assert isinstance(answer, Generated)
    told = await stories
    assert ended == ["word"] * 5 + ["stories"]
    assert len(told) == 12 and all(isinstance(each, Generated) and each.tokens.completion > 900 for each in told)
    await process.close()
    assert gone(process._process.pid)


async def test_a_process_that_is_killed_fails_what_it_was_at_and_is_started_again(model: Path) -> None:
    process = await loaded(model)
    killed = process._process.pid
    jobs = [asyncio.create_task(process.generate(prompts(100))) for _ in range(3)]
    await asyncio.sleep(0.3)
    os.kill(killed, signal.SIGKILL)
    for (failed,) in await asyncio.gather(*jobs):
        assert isinstance(failed, GenerationFailed) and failed.reason == "crashed" and "status -9" in failed.detail
    assert len(await process.generate(prompts(2))) == 2
    assert process._process.pid != killed
    await asyncio.sleep(0.5)  # it has sent its last answer and is on its way back to wait
    await process.close()
    assert process._process.wait(10) == 0, "idle, it ends by itself"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_us_and_says_nothing(model: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches all processes in front of the terminal; a kill reaches us alone."""
    code = f"""
import asyncio, signal, sys
from pathlib import Path
from hardcut.teacher.local.process import ModelProcess
from test_process import loaded, prompts
async def main():
    process = await loaded(Path({str(model)!r}))
    work = asyncio.create_task(process.generate(prompts(1000)))
    await asyncio.sleep(0.3)
    print(process._process.pid, flush=True)
    try:
        await work
    finally:
        await process.close()
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "TRANSFORMERS_VERBOSITY": "error"},
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    model_pid = int(process.stdout.readline())
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(10) == (130 if number == signal.SIGINT else -9)
    assert gone(model_pid) and time.monotonic() - began < 6
    assert "Traceback" not in process.stderr.read()
