"""Questions as lines of an OpenAI batch file, and what came back for them.

https://platform.openai.com/docs/guides/batch: a line has an id of its own, a method, an address and the body of the
request; a file is of one model, with at most 50,000 lines and 200 MB. vLLM (`vllm run-batch`) reads the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hardcut.engine.files import atomic_writer, storage_error
from hardcut.schemas.errors import UsageError
from hardcut.teacher.server.request import to_json

MOST_LINES = 50_000
MOST_BYTES = 200_000_000


def batch_line(key: str, body: bytes) -> bytes:
    """One question. Its id is the key under which its reply is kept."""
    return b"".join(
        (b'{"custom_id":', to_json(key), b',"method":"POST","url":"/v1/chat/completions","body":', body, b"}\n")
    )


@dataclass(slots=True)
class BatchFiles:
    """Writes files `NAME-001.jsonl` and so on into a folder, none of more than a provider takes, each whole or not at
    all: use it in a `with` block. Raises StorageError where the disk does not take them."""

    folder: Path
    name: str
    most_lines: int = MOST_LINES
    most_bytes: int = MOST_BYTES
    written: list[Path] = field(default_factory=list)
    _writing: AbstractContextManager[IO[bytes]] | None = None
    _file: IO[bytes] | None = None
    _lines: int = 0
    _bytes: int = 0

    def add(self, line: bytes) -> None:
        """Raises UsageError where a file of that name is there already."""
        if self._file is None or self._lines == self.most_lines or self._bytes + len(line) > self.most_bytes:
            self.__exit__(None, None, None)
            self._file = self._open(self.folder / f"{self.name}-{len(self.written) + 1:03}.jsonl")
        self._file.write(line)
        self._lines, self._bytes = self._lines + 1, self._bytes + len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        writing, self._writing, self._file = self._writing, None, None
        if writing is not None:
            writing.__exit__(kind, error, trace)

    def _open(self, path: Path) -> IO[bytes]:
        if path.exists():
            raise UsageError(f"{path}: is there already; name another folder, or take it away")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error
        self._writing = atomic_writer(path, "wb")
        self._lines = self._bytes = 0
        self.written.append(path)
        return self._writing.__enter__()


def read_results(files: Iterable[Path]) -> Iterator[tuple[str, bytes | None, str]]:
    """Of each line of output and error files its id, and the body of the answer or None and what is said instead.

    Raises UsageError for a file that is none of a batch's."""
    for path in files:
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _result(line, f"{path}, line {number}")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error


def _result(line: bytes, where: str) -> tuple[str, bytes | None, str]:
    try:
        told = json.loads(line)
        key, answer, error = told["custom_id"], told.get("response") or {}, told.get("error")
        status, body = answer.get("status_code"), answer.get("body")
    except (ValueError, KeyError, AttributeError, TypeError) as fault:
        raise UsageError(f"{where}: is no line of a batch's results ({type(fault).__name__}: {fault})") from fault
    if error or status != 200 or not isinstance(body, dict):
        return str(key), None, f"status {status}: {json.dumps(error or body, ensure_ascii=False)[:300]}"
    return str(key), to_json(body), ""
