"""A model in a process of its own: what it takes of memory and what it breaks stays there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

from hardcut.engine.child import start
from hardcut.schemas.dependencies import pip_install
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.teacher.local.generation import Generated, GenerationFailed, Generator, ModelOptions, Prompt
from hardcut.teacher.local.safe_loading import not_loaded, refuse_pickled

Kind = Literal["transformers", "vllm"]
Results = list[Generated | GenerationFailed]
Job = tuple[int, tuple[Prompt, ...]]
"""Its number, and what is asked."""

_END_S = 10.0
"""How long a process may take to end."""


class Model(Protocol):
    """A model somewhere: in a process here (`ModelProcess`) or on the nodes of a cluster (`ray_models.RayModels`)."""

    async def generate(self, prompts: Sequence[Prompt]) -> Results:
        """The result of each prompt, or one failure for all of them. Raises MissingDependency or UsageError where the
        model cannot be loaded."""
        ...

    async def close(self) -> None:
        """Lets go of it, whatever it is doing."""
        ...


class ModelProcess:
    """Started by the first call, which loads the model. A process that dies fails what it was doing with `crashed` and
    is started again by the next call; one that dies before it ever answered ends the run. It ends with us, however we
    end, and Ctrl-C does not reach it by itself."""

    def __init__(self, kind: Kind, options: ModelOptions) -> None:
        self._kind = kind
        self._options = options
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        """Of what follows: a job is either seen by the thread that finds the process dead, or begins another one."""
        self._jobs: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Results]]] = {}
        self._connection: Connection | None = None
        self._answered = False
        self._unusable: HardcutError | None = None

    async def generate(self, prompts: Sequence[Prompt]) -> Results:
        """As `Model.generate`."""
        if not prompts:
            return []
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        future: asyncio.Future[Results] = loop.create_future()
        with self._lock:
            if self._unusable is not None:
                raise self._unusable
            connection = self._connection or self._start()
            self._jobs[number] = loop, future
        with contextlib.suppress(OSError):  # it died: whoever reads from it fails all that wait
            connection.send((number, tuple(prompts)))
        return await future

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):  # it is gone already
                connection.send(None)  # closing would not reach it while our thread reads
            await asyncio.to_thread(_end, self._process)
            connection.close()

    def _start(self) -> Connection:
        self._process, ours = start(serve, self._kind, self._options)
        name = f"replies of {self._kind}"
        threading.Thread(target=self._read, args=(ours,), name=name, daemon=True).start()
        self._connection = ours
        return ours

    def _read(self, connection: Connection) -> None:
        """In a thread: hands out what comes back."""
        while True:
            try:
                number, results = connection.recv()
            except (EOFError, OSError):
                self._died(connection)
                return
            with self._lock:
                if isinstance(results, HardcutError):
                    self._unusable = results
                    self._fail_all(results)
                    return
                self._answered = True
                _tell(*self._jobs.pop(number), results)

    def _died(self, connection: Connection) -> None:
        if self._connection is connection:
            _kill(self._process)
            _end(self._process)
        with self._lock:
            if self._connection is not connection:  # closed by ourselves
                self._fail_all(MissingDependency(f"{self._kind}:{self._options.model} was closed"))
                return
            self._connection = None
            how = f"the process of {self._kind}:{self._options.model} died (status {self._process.returncode})"
            if not self._answered:
                self._unusable = MissingDependency(f"{how} before its first answer: see what it said above")
                self._fail_all(self._unusable)
            else:
                self._fail_all(GenerationFailed("crashed", f"{how}: --retry-failed asks again"))

    def _fail_all(self, fault: HardcutError | GenerationFailed) -> None:
        jobs, self._jobs = self._jobs, {}
        for loop, future in jobs.values():
            _tell(loop, future, fault)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """It and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits for its end, and makes it where it does not come by itself."""
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Results], outcome: Any) -> None:
    with contextlib.suppress(RuntimeError):  # its loop was closed meanwhile, and nobody waits
        loop.call_soon_threadsafe(_settle, future, outcome)


def _settle(future: asyncio.Future[Results], outcome: Results | GenerationFailed | HardcutError) -> None:
    if future.done():
        return
    if isinstance(outcome, HardcutError):
        future.set_exception(outcome)
    else:
        future.set_result([outcome] if isinstance(outcome, GenerationFailed) else outcome)


def serve(connection: Connection, kind: Kind, options: ModelOptions) -> None:
    """In the process: loads the model, then answers jobs until the other side is gone."""
    jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    idle = threading.Event()
    threading.Thread(target=_receive, args=(connection, jobs, idle), daemon=True).start()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no output of ours
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        generator = _load(kind, options)
    except HardcutError as error:
        connection.send((-1, error))
        return
    while True:
        idle.set()
        job = jobs.get()
        idle.clear()
        if job is None:
            return
        for done in _finished(job, jobs, generator):
            connection.send(done)


def _finished(first: Job, jobs: queue.SimpleQueue[Job | None], generator: Generator) -> Iterator[tuple[int, Results]]:
    """The results of each job, as soon as it has all of them. What comes meanwhile joins in: the model is never without
    work while there is some, and nobody waits for the slowest of others."""
    whose: list[tuple[int, int]] = []
    found: dict[int, list[Generated | GenerationFailed | None]] = {}

    def taken(job: Job) -> Sequence[Prompt]:
        number, prompts = job
        whose.extend((number, at) for at in range(len(prompts)))
        found[number] = [None] * len(prompts)
        return prompts

    def more() -> Sequence[Prompt]:
        prompts: list[Prompt] = []
        while not jobs.empty():
            job = jobs.get()
            if job is None:  # the end: for whoever waits for the next job
                jobs.put(None)
                break
            prompts += taken(job)
        return prompts

    for position, result in generator.generate(taken(first), more):
        number, at = whose[position]
        found[number][at] = result
        if all(found[number]):
            yield number, [each for each in found.pop(number) if each is not None]


def _receive(connection: Connection, jobs: queue.SimpleQueue[Job | None], idle: threading.Event) -> None:
    """In a thread: takes in what is asked while the model works, for whoever asks waits until it is taken. Once the
    other side says that it is over, or is gone, nobody wants what the model is at."""
    with contextlib.suppress(EOFError, OSError):  # the other side was killed
        while (job := connection.recv()) is not None:
            jobs.put(job)
    if idle.is_set() and jobs.empty():
        jobs.put(None)
    else:
        os.killpg(0, signal.SIGKILL)  # vLLM's engine, a process of this group, passes over SIGTERM while it loads


def _load(kind: Kind, options: ModelOptions) -> Generator:
    refuse_pickled(options.model)
    try:
        if kind == "vllm":
            from hardcut.teacher.local.vllm_model import VllmGenerator

            return VllmGenerator(options)
        from hardcut.teacher.local.transformers_model import TransformersGenerator

        return TransformersGenerator(options)
    except ImportError as error:
        raise MissingDependency(f"{kind}:{options.model}: {error}: {pip_install(kind)}") from error
    except (OSError, ValueError) as error:
        raise UsageError(not_loaded(f"{kind}:{options.model}", error)) from error
