"""How fast the embedded Argilla takes records and hands them out, and what it needs.

    python benchmarks/review_load.py [RECORDS]

Starts a server on new data, pushes records (default 10,000) as `hardcut review push` does (the SDK's client, batches of
500), opens the next record two hundred times as a reviewer's page does, answering it in between, lets sixteen reviewers
answer at once, and starts the server once more on what is there. Seconds by the clock beside seconds of work (CPU) of
both processes, since the clock says little on a busy machine. Writes `results/review.json` beside this file. The
server's environment is taken from, or made in, the user's cache folder; VENV_ARGILLA names another.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import argilla
import httpx
import psutil

from hardcut.annotate.embedded.environment import environment
from hardcut.annotate.embedded.server import Order, connection, running
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import NullProgress
from hardcut.pipeline.cache import cache_folder

BATCH = 500
OPENED = 200
REVIEWERS = tuple(f"reviewer{number:02}" for number in range(16))
EACH = 5
"""Answers of each of the sixteen."""
PENDING = [
    {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": ["pending"]},
    {"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]},
]


class Meter:
    """Seconds by the clock and of work since it was made, and the server's memory."""

    def __init__(self, pid: int) -> None:
        self._server = psutil.Process(pid)
        self._begun = time.perf_counter()
        self._server_s, self._own_s = self._work()

    def _work(self) -> tuple[float, float]:
        times = self._server.cpu_times()
        return times.user + times.system, time.process_time()

    def said(self) -> dict[str, float]:
        server, own = self._work()
        return {
            "seconds": round(time.perf_counter() - self._begun, 2),
            "server_cpu_s": round(server - self._server_s, 2),
            "client_cpu_s": round(own - self._own_s, 2),
            "server_mb": round(self._server.memory_info().rss / 1e6),
        }


def make_dataset(client: Any) -> tuple[str, str]:
    """A set like those of `review push`; its id and its first question's."""
    settings = argilla.Settings(
        fields=[argilla.CustomField(name="page", template="<p>{{record.fields.page.page}}</p>")],
        questions=[
            argilla.LabelQuestion(name="relevance", labels=["answers", "in_part", "does_not"]),
            argilla.TextQuestion(name="moment", required=False),
            argilla.MultiLabelQuestion(name="flags", labels=["ambiguous", "unsafe"], required=False),
        ],
        metadata=[argilla.TermsMetadataProperty(name="stratum", visible_for_annotators=False)],
        distribution=argilla.TaskDistribution(min_submitted=2),
    )
    dataset = argilla.Dataset(name="benchmark", workspace="hardcut", settings=settings, client=client).create()
    return str(dataset.id), str(dataset.settings.questions["relevance"]._model.id)


def records(count: int, question: str) -> Iterator[dict[str, Any]]:
    """Pages of about 3 kB with words to search for, every second with a suggestion."""
    dice = random.Random(6)
    words = [f"{start}{end}" for start in ("red", "slow", "door", "dog", "rain") for end in ("", "ly", "ing", "er")]
    for number in range(count):
        lines = [{"at": line / 2, "text": " ".join(dice.choices(words, k=8))} for line in range(40)]
        page = json.dumps({"query": " ".join(dice.choices(words, k=12)), "clip": f"/media/{number}", "lines": lines})
        told = {"question_id": question, "value": "answers", "score": 0.7, "type": "model", "agent": "teacher"}
        yield {
            "external_id": f"pair-{number:06}",
            "fields": {"page": {"page": page}},
            "metadata": {"stratum": dice.choice(("audit", "margin", "gold"))},
            "suggestions": [told] if number % 2 else [],
        }


def push(http: httpx.Client, dataset: str, made: list[dict[str, Any]]) -> None:
    for start in range(0, len(made), BATCH):
        body = {"items": made[start : start + BATCH]}
        http.put(f"/api/v1/datasets/{dataset}/records/bulk", json=body).raise_for_status()


def next_record(http: httpx.Client, dataset: str) -> str | None:
    """The call of a reviewer's page for what is next; the record's id."""
    path = f"/api/v1/me/datasets/{dataset}/records/search?include=responses&include=suggestions&offset=0&limit=1"
    answer = http.post(path, json={"filters": {"and": PENDING}}).raise_for_status().json()
    return str(answer["items"][0]["record"]["id"]) if answer["items"] else None


def answer(http: httpx.Client, record: str) -> None:
    said = {"record_id": record, "values": {"relevance": {"value": "answers"}}, "status": "submitted"}
    done = http.post("/api/v1/me/responses/bulk", json={"items": [said]}).raise_for_status().json()
    assert done["items"][0]["error"] is None, done


def open_in_turn(http: httpx.Client, dataset: str) -> dict[str, float]:
    """Milliseconds until the next record is there, an answer between any two."""
    took = []
    for _ in range(OPENED):
        before = time.perf_counter()
        record = next_record(http, dataset)
        took.append((time.perf_counter() - before) * 1000)
        assert record
        answer(http, record)
    took.sort()
    return {
        "median_ms": round(statistics.median(took), 1),
        "p95_ms": round(took[int(OPENED * 0.95)], 1),
        "max_ms": round(took[-1], 1),
    }


@contextmanager
def client(data: Path, user: str = "owner") -> Iterator[httpx.Client]:
    found = connection(data, user)
    with httpx.Client(base_url=found.url, headers={"X-Argilla-Api-Key": found.api_key}, timeout=60) as http:
        yield http


def crowd(data: Path, dataset: str) -> int:
    def review(name: str) -> int:
        given = 0
        with client(data, name) as http:
            while given < EACH and (record := next_record(http, dataset)):
                answer(http, record)
                given += 1
        return given

    with ThreadPoolExecutor(len(REVIEWERS)) as pool:
        return sum(pool.map(review, REVIEWERS))


def main(count: int) -> None:
    named = os.environ.get("VENV_ARGILLA")
    python = environment(Path(named).resolve() if named else cache_folder(None).argilla, NullProgress(), print)
    result: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count(), "records": count}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "argilla"
        begun = time.perf_counter()
        with running(python, data, Order(port=0, reviewers=REVIEWERS)) as server:
            result["first_start"] = {"seconds": round(time.perf_counter() - begun, 2), **_start(server.pid)}
            found = connection(data)
            with warnings.catch_warnings(), client(data) as owner, client(data, REVIEWERS[0]) as reviewer:
                warnings.simplefilter("ignore")
                dataset, question = make_dataset(argilla.Argilla(api_url=found.url, api_key=found.api_key))
                made = list(records(count, question))
                for name in ("push", "push_again"):
                    meter = Meter(server.pid)
                    push(owner, dataset, made)
                    result[name] = meter.said()
                result["next_record"] = open_in_turn(reviewer, dataset)
                begun = time.perf_counter()
                body = {"query": {"text": {"q": "dogly -rainer"}}}
                owner.post(f"/api/v1/datasets/{dataset}/records/search", json=body).raise_for_status()
                result["text_search_ms"] = round((time.perf_counter() - begun) * 1000, 1)
                meter = Meter(server.pid)
                answers = crowd(data, dataset)
                result["sixteen_at_once"] = {"answers": answers, **meter.said()}
        begun = time.perf_counter()
        with running(python, data, Order(port=0)) as server:
            result["start_with_records"] = {"seconds": round(time.perf_counter() - begun, 2), **_start(server.pid)}
    with atomic_writer(Path(__file__).with_name("results") / "review.json") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    print(json.dumps(result, indent=2))


def _start(pid: int) -> dict[str, float]:
    process = psutil.Process(pid)
    return {
        "server_cpu_s": round(sum(process.cpu_times()[:2]), 2),
        "server_mb": round(process.memory_info().rss / 1e6),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
