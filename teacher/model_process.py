"""A model in a process of its own: what it takes of memory and what it breaks stays there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal

from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.teacher.generation import Failed, Generated, Generator, ModelOptions, Prompt

Kind = Literal["transformers", "vllm"]
Results = list[Generated | Failed]

_MOST_JOBS = 64
"""Jobs that are generated together at most; one is the requests of one video."""


class ModelProcess:
    """Started by the first call, which loads the model. A process that dies fails what it was doing with `crashed` and
    is started again by the next call; one that dies before it ever answered ends the run."""

    def __init__(self, kind: Kind, options: ModelOptions) -> None:
        self._kind = kind
        self._options = options
        self._numbers = itertools.count()
        self._jobs: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Results]]] = {}
        self._connection: Connection | None = None
        self._process: Any = None
        self._answered = False
        self._unusable: HardcutError | None = None

    async def generate(self, prompts: Sequence[Prompt]) -> Results:
        """Raises MissingDependency or UsageError where the model cannot be loaded."""
        if self._unusable is not None:
            raise self._unusable
        if self._connection is None:
            self._start()
        assert self._connection
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        future: asyncio.Future[Results] = loop.create_future()
        self._jobs[number] = loop, future
        with contextlib.suppress(OSError):  # it died: whoever reads from it fails all that wait
            self._connection.send((number, tuple(prompts)))
        return await future

    async def close(self) -> None:
        """Ends the process."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
            await asyncio.to_thread(self._process.join, 10)
            self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # A model over several GPUs has processes of its own, which a daemon may not have.
        self._process = context.Process(
            target=serve, args=(self._kind, self._options, theirs), daemon=self._options.gpus == 1
        )
        self._process.start()
        theirs.close()
        name = f"replies of {self._kind}"
        threading.Thread(target=self._read, args=(self._connection,), name=name, daemon=True).start()

    def _read(self, connection: Connection) -> None:
        """In a thread: hands out what comes back."""
        while True:
            try:
                number, results = connection.recv()
            except (EOFError, OSError):
                self._died(connection)
                return
            if isinstance(results, HardcutError):
                self._unusable = results
                self._fail_all(results)
                return
            self._answered = True
            loop, future = self._jobs.pop(number)
            loop.call_soon_threadsafe(_settle, future, results)

    def _died(self, connection: Connection) -> None:
        if self._connection is not connection:  # closed by ourselves
            self._fail_all(MissingDependency(f"{self._kind}:{self._options.model} was closed"))
            return
        self._connection = None
        self._process.join(10)
        how = f"the process of {self._kind}:{self._options.model} died (status {self._process.exitcode})"
        if not self._answered:
            self._unusable = MissingDependency(f"{how} before its first answer: see what it said above")
            self._fail_all(self._unusable)
        else:
            self._fail_all(Failed("crashed", f"{how}: --retry-failed asks again"))

    def _fail_all(self, fault: HardcutError | Failed) -> None:
        jobs, self._jobs = self._jobs, {}
        for loop, future in jobs.values():
            loop.call_soon_threadsafe(_settle, future, fault)


def _settle(future: asyncio.Future[Results], outcome: Results | Failed | HardcutError) -> None:
    if future.done():
        return
    if isinstance(outcome, HardcutError):
        future.set_exception(outcome)
    else:
        future.set_result([outcome] if isinstance(outcome, Failed) else outcome)


def serve(kind: Kind, options: ModelOptions, connection: Connection) -> None:
    """In the process: loads the model, then answers jobs until the other side is gone."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no output of ours
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        generator = _load(kind, options)
    except HardcutError as error:
        connection.send((-1, error))
        return
    while True:
        try:
            jobs = [connection.recv()]
            while len(jobs) < _MOST_JOBS and connection.poll(0):
                jobs.append(connection.recv())
        except EOFError:
            return
        results = iter(generator.generate([prompt for _, prompts in jobs for prompt in prompts]))
        for number, prompts in jobs:
            connection.send((number, list(itertools.islice(results, len(prompts)))))


def _load(kind: Kind, options: ModelOptions) -> Generator:
    try:
        if kind == "vllm":
            from hardcut.teacher.model_vllm import VllmGenerator

            return VllmGenerator(options)
        from hardcut.teacher.model_transformers import TransformersGenerator

        return TransformersGenerator(options)
    except ImportError as error:
        advice = f'pip install "hardcut[{kind}]"'
        raise MissingDependency(f"{kind}:{options.model}: {error}: {advice}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{kind}:{options.model} cannot be loaded: {error}") from error
