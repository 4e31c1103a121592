"""Records for the tests of this package, and a small run folder made of them."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hardcut.publish.export_dataset import export
from hardcut.schemas.base import Record
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.copies import Signature
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import (
    Caption,
    Claim,
    Dropped,
    Facet,
    FirstStage,
    Pair,
    Query,
    Span,
    TeacherLabel,
    TeacherRef,
    Video,
)
from hardcut.schemas.settings import Settings
from hardcut.schemas.triplets import Triplet
from hardcut.synth.contrasts import Contrast, Said, query_triplets

TEACHER = TeacherRef(backend="openai", model="judge-8b", revision="r1", prompt_digest="ab" * 32)


class Make:
    """Short ways to make one record each."""

    def video(self, video_id: str, content: str | None = None, **metadata: Any) -> Video:
        return Video(
            video_id=video_id,
            path=f"{video_id}.mp4",
            sha256=digest(content or video_id),
            size_bytes=1000,
            duration_s=12.5,
            fps=25,
            width=640,
            height=360,
            codec="h264",
            video_streams=1,
            has_audio=True,
            complete=True,
            metadata=metadata,
        )

    def signature(self, video_id: str) -> Signature:
        """Of four pictures, each of its own colours."""
        pixels = np.random.default_rng(int(digest(video_id)[:8], 16)).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
        sheet = Image.new("RGB", (8 * 48, 48))
        for at, picture in enumerate(pixels):
            sheet.paste(Image.fromarray(picture).resize((48, 48)), (48 * at, 0))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=90)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        hashes = tuple(digest(f"{video_id} {at}")[:16] for at in range(4))
        return Signature(video_id=video_id, times=(0.0, 1.0, 2.0, 3.0), hashes=hashes, sheet=encoded)

    def caption(self, video_id: str, text: str = "A ball rolls to the left.") -> Caption:
        claim = Claim(text=text, span=Span(start=0, end=2), evidence_ids=("e_1",))
        return Caption.create(video_id=video_id, text=text, claims=(claim,), teacher=TEACHER)

    def query(self, text: str, source: str | None = None, **fields: Any) -> Query:
        facets = (
            Facet(text="the ball", modality="visual", span=Span(start=1, end=2.5)),
            Facet(text="x", modality="ocr"),
        )
        given = {"view": "caption" if source else "user", "kind": "event", "language": "en", "facets": facets}
        return Query.create(text=text, source_video_id=source, teacher=TEACHER, **{**given, **fields})

    def pair(self, query: Query, video_id: str, expected: str | None = None) -> Pair:
        source = query.source_video_id == video_id
        return Pair.create(
            query_id=query.query_id,
            video_id=video_id,
            origins=("source",) if source else ("mined",),
            expected=expected or ("yes" if source else "no" if query.source_video_id else "unknown"),
            first_stage=(FirstStage(run="bm25", rank=1 if source else 2, score=3.25),),
        )

    def label(self, pair: Pair, verdict: str, margin: float | None = None, **fields: Any) -> TeacherLabel:
        p_yes = None if margin is None else round(1 / (1 + 2.718281828459045**-margin), 6)
        given = {"teacher": TEACHER, "logit_margin": margin, "p_yes": p_yes}
        return TeacherLabel.create(
            pair_id=pair.pair_id, query_id=pair.query_id, video_id=pair.video_id, verdict=verdict, **{**given, **fields}
        )

    def triplets(self, query: Query, changed: Query) -> list[Triplet]:
        """The set of a query and its counterfactual, each said again."""
        nuance = {"reversed": "temporal", "negated": "negation"}.get(changed.variant, "facet")
        sides = Said.of_query(query), Said.of_query(changed)
        contrast = Contrast(nuance, *sides, query.source_video_id, query.query_id)  # type: ignore[arg-type]
        return query_triplets(contrast, f"here {query.text}", f"here {changed.text}", 0, TEACHER)

    def review(self, pair: Pair, query: Query, relevance: int | None, reviewer: str = "ada", **fields: Any) -> Review:
        given = {"query_digest": digest(query.text), "blind": True, "status": "submitted"}
        return Review.create(
            pair_id=pair.pair_id,
            query_id=pair.query_id,
            video_id=pair.video_id,
            reviewer=reviewer,
            relevance=relevance,
            **{**given, **fields},
        )

    def judgment(self, pair: Pair, grade: int, label: TeacherLabel | None = None) -> Judgment:
        return Judgment(
            pair_id=pair.pair_id,
            query_id=pair.query_id,
            video_id=pair.video_id,
            grade=grade,
            source="teacher" if label else "human",
            support=(label.label_id,) if label else (),
        )

    def dropped(self, item: str, stage: str, reason: str, detail: str = "") -> Dropped:
        return Dropped.create(item=item, stage=stage, reason=reason, detail=detail)


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


def written(folder: Path, records: Iterable[Record]) -> Path:
    """A run folder as the engine writes it: each kind in its file, sorted by id."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = list(records)
    for kind in RECORDS:
        chosen = sorted((record for record in everything if isinstance(record, kind)), key=lambda record: record.id)
        with (folder / kind.FILE).open("w", encoding="utf-8") as file:
            write_records(file, chosen)
    return folder


@pytest.fixture(scope="session")
def write_run() -> Callable[[Path, Iterable[Record]], Path]:
    return written


_SETTINGS = Settings(export=ExportSettings(name="sample", licence="cc0-1.0", train=0.6, validation=0.2))
_PROGRAM = """
import contextlib, io, json, os, sys, traceback
from dataclasses import asdict, replace
from pathlib import Path
from hardcut.publish import hub
from hardcut.schemas.errors import HardcutError

def run(kind, *arguments):
    choices = hub.Choices(adopt="--adopt" in arguments, dry_run="--dry-run" in arguments)
    arguments = [each for each in arguments if not each.startswith("--")]
    try:
        if kind == "model":
            folder, repo = arguments
            print(json.dumps(asdict(hub.publish_model(Path(folder), repo, choices))))
        elif kind == "publish":
            folder, repo, *tag = arguments
            choices = replace(choices, tag=tag[0] if tag else None)
            print(json.dumps(asdict(hub.publish(Path(folder), repo, choices))))
        else:
            repo, out, *revision = arguments
            print(json.dumps(hub.pull(repo, Path(out), revision[0] if revision else None).is_card_edited))
    except HardcutError as error:
        print(error, file=sys.stderr)
        return error.status
    return 0

if sys.argv[1:]:
    sys.exit(run(*sys.argv[1:]))
for line in sys.stdin:  # many calls in one process
    asked, out, err = json.loads(line), io.StringIO(), io.StringIO()
    os.environ.update(asked["environment"])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run(*asked["arguments"])
        except Exception:
            traceback.print_exc()
            status = 1
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="session")
def hub_program() -> list[str]:
    """The command of a process that publishes or pulls."""
    return [sys.executable, "-c", _PROGRAM]


@contextmanager
def hub_server() -> Iterator[Any]:
    """A server that speaks the Hub's API."""
    spec = importlib.util.spec_from_file_location("hub_server", Path(__file__).parents[1] / "hub_server.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.HubServer() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Any]:
    with hub_server() as running:
        yield running


def hub_environment(server: Any, home: Path) -> dict[str, str]:
    """The environment of a process that talks to the server."""
    hub = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_right", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {**kept, **hub, "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="module")
def hub_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Hub's client of `xet_call` keeps what it fetched."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def xet_call(
    one_server: Any, in_one_process: Any, hub_home: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """As `quick_call`, with Xet on and little patience: `hf_xet` asks again for minutes else."""
    impatient = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_RETRY_MAX_DURATION": "1s"}
    environment = hub_environment(one_server, hub_home)
    with in_one_process({**environment, **impatient, "HF_HUB_DISABLE_XET": "0"}) as run:
        yield run


@pytest.fixture
def environment(server: Any, tmp_path: Path) -> dict[str, str]:
    return hub_environment(server, tmp_path / "home")


@pytest.fixture(scope="module")
def one_server() -> Iterator[Any]:
    """One server for the tests of a file."""
    with hub_server() as running:
        yield running


@pytest.fixture(scope="session")
def in_one_process(hub_program: list[str]) -> Callable[[dict[str, str]], Any]:
    """As `call`, all in one process of the environment that is given: the Hub's client takes seconds to load."""

    @contextmanager
    def opened(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
        with subprocess.Popen(
            hub_program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            to, back = process.stdin, process.stdout

            def run(*arguments: str | Path, **changed: str) -> subprocess.CompletedProcess[str]:
                asked = {"arguments": [*map(str, arguments)], "environment": {"HF_TOKEN": "hf_right", **changed}}
                to.write(json.dumps(asked) + "\n")
                to.flush()
                return subprocess.CompletedProcess(asked["arguments"], *json.loads(back.readline()))

            yield run
            to.close()

    return opened


@pytest.fixture(scope="module")
def quick_call(
    one_server: Any, in_one_process: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """As `call`, to `one_server`."""
    with in_one_process(hub_environment(one_server, tmp_path_factory.mktemp("home"))) as run:
        yield run


@pytest.fixture
def call(environment: dict[str, str], hub_program: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str | Path, **changed: str) -> subprocess.CompletedProcess[str]:
        line = [*hub_program, *map(str, arguments)]
        return subprocess.run(
            line, env={**environment, **changed}, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def dataset(tmp_path: Path, make: Any, write_run: Any) -> Path:
    return exported(tmp_path, make)


@pytest.fixture(scope="module")
def one_dataset(tmp_path_factory: pytest.TempPathFactory, make: Any) -> Path:
    """One dataset for the tests of a file, which do not change it."""
    return exported(tmp_path_factory.mktemp("one"), make)


def exported(folder: Path, make: Any) -> Path:
    records: list[Any] = []
    for i in range(12):
        video = make.video(f"v{i}", licence="cc0-1.0")
        query = make.query(f"something quite particular about the video of number {i * 7919}", f"v{i}")
        records += [video, query, make.caption(f"v{i}", f"A caption of video {i}.")]
        for step in range(3):
            pair = make.pair(query, f"v{(i + step) % 12}")
            label = make.label(pair, "no" if step else "yes", -8.0 - step if step else 5.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
    return export(written(folder / "run", records), folder / "dataset", _SETTINGS).out
