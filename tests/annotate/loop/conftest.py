"""A finished run of the bundled sample, a server of its own, and people who answer through the REST API."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hardcut.annotate.embedded.server import Connection, EmbeddedServer, Order, connection, running
from hardcut.cli.app import main
from hardcut.cli.run import carry_out_with_bars
from hardcut.data.bundled import sample_files
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job
from hardcut.schemas.config import load_settings

PEOPLE = ("alice", "bob", "carol")
SETTINGS = """
[evidence]
ocr = "off"
motion = false
shots = false

[media]
fps = 2.0
max_pixels = 40000

[negatives]
per_query = 3

[scores]
show_metadata = true  # as in the demo: the teacher of rules has no eyes

[review]
budget = 60
overlap = 3
audit = 0.6
gold = 0.2
preview_side = 160
seed = 2
"""


@dataclass(frozen=True)
class Sample:
    """A run with where it came from; `videos` is the collection, `cache` holds its frames."""

    run: Path
    videos: Path
    cache: Path
    config: Path
    inputs: dict[str, str]

    def again(self) -> None:
        """`hardcut run` with the same arguments."""
        settings = load_settings(self.config, self.inputs)
        carry_out_with_bars(Job(self.videos, self.run, settings, Cache(self.cache)))


@dataclass(frozen=True)
class Api:
    """What a person's browser does, without the browser."""

    url: str
    key: str

    def call(self, method: str, path: str, **options: Any) -> Any:
        options.setdefault("headers", {"X-Argilla-Api-Key": self.key})
        response = httpx.request(method, f"{self.url}/api/v1/{path}", timeout=60, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def records(self, dataset: str) -> list[dict[str, Any]]:
        """The records of a set by its name, with their answers, sorted by pair."""
        sets = {each["name"]: each["id"] for each in self.call("GET", "me/datasets")["items"]}
        options = {"limit": 1000, "include": ["responses", "suggestions"]}
        found = self.call("GET", f"datasets/{sets[dataset]}/records", params=options)["items"]
        return sorted(found, key=lambda record: str(record["external_id"]))

    def answer(self, record: dict[str, Any], relevance: str | None, status: str = "submitted", **values: Any) -> Any:
        """Answers a record; the response."""
        told = {
            name: {"value": value} for name, value in {"relevance": relevance, **values}.items() if value is not None
        }
        return self.call("POST", f"records/{record['id']}/responses", json={"status": status, "values": told})

    def edit(self, response: dict[str, Any], relevance: str) -> None:
        """Changes an answer that was given."""
        body = {"status": "submitted", "values": {"relevance": {"value": relevance}}}
        self.call("PUT", f"responses/{response['id']}", json=body)


@pytest.fixture(scope="session")
def sample_videos() -> Iterator[Path]:
    with sample_files() as sample:
        yield sample


@pytest.fixture(scope="session")
def finished_sample(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The bundled sample with little looked for, so that it is done in seconds; nobody has reviewed it."""
    folder = tmp_path_factory.mktemp("sample")
    config = folder / "hardcut.toml"
    config.write_text(SETTINGS)
    inputs = {
        "inputs.queries": str(sample_videos / "queries.tsv"),
        "inputs.first_stage": str(sample_videos / "first_stage.trec"),
        "inputs.judgments": str(sample_videos / "qrels.txt"),
    }
    sample = Sample(folder / "run", sample_videos / "videos", folder / "cache", config, inputs)
    sample.again()
    return sample


@pytest.fixture(scope="session")
def served(argilla_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a server with three reviewers that all tests of the loop share."""
    data = tmp_path_factory.mktemp("served") / "argilla"
    with running(argilla_python, data, Order(port=0, reviewers=PEOPLE)):
        yield data


@pytest.fixture
def sample(finished_sample: Sample, tmp_path: Path) -> Sample:
    """A copy of the run under a name that no other test uses, so that its sets are its own."""
    run = tmp_path / f"run-{os.urandom(4).hex()}"
    shutil.copytree(finished_sample.run, run)
    return Sample(run, finished_sample.videos, finished_sample.cache, finished_sample.config, finished_sample.inputs)


@pytest.fixture
def people(served: Path) -> dict[str, Api]:
    """The reviewers and the owner by name."""
    return {name: api_of(connection(served, user=name)) for name in (*PEOPLE, "owner")}


def api_of(found: Connection) -> Api:
    return Api(found.url, found.api_key)


@pytest.fixture
def make_api() -> Callable[[Connection], Api]:
    return api_of


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How to start code of ours in a process of its own; the last element is the code."""
    return [sys.executable, "-c", "from hardcut.cli.app import main; main()"]


@pytest.fixture
def hardcut(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: its status, what it said, and on stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return call


@pytest.fixture
def review(sample: Sample, served: Path, hardcut: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Any]]:
    """`review("pull")`: a review command on the sample's copy and the shared server; what it prints as JSON."""

    def call(command: str, *more: str | Path, status: int = 0) -> dict[str, Any]:
        where: list[str | Path] = ["--data", served] if command in ("push", "pull") else []
        where += ["--videos", sample.videos, "--cache", sample.cache] if command == "push" else []
        where += ["--cache", sample.cache] if command == "report" else []
        code, out, err = hardcut("review", command, sample.run, *where, *more, "--json")
        assert code == status, (out, err)
        found: dict[str, Any] = json.loads(out)
        return found

    return call


@pytest.fixture(scope="module")
def browser(finished_sample: Sample) -> Iterator[Any]:
    """The system's Chromium, sound and all. After the sample: Playwright's event loop then runs in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the path: `apt-get install chromium`")
    with sync_api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"the system's Chromium does not start: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture
def server(argilla_python: Path, tmp_path: Path) -> Iterator[tuple[Path, EmbeddedServer]]:
    """A server whose passwords the test knows."""
    with running(argilla_python, tmp_path / "argilla", Order(port=0, reviewers=("bob",))) as found:
        yield tmp_path / "argilla", found
