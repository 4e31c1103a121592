"""A run takes the user's own queries apart: asked of the teacher of queries, once, booked, and planned for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import hardcut
from hardcut.pipeline.batches import read_batch, write_batch
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.estimate import estimate
from hardcut.pipeline.preview import messages
from hardcut.schemas.config import format_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Query
from hardcut.schemas.settings import Settings

TEXTS = ['a sign reads "SALE"', "a ball moves from left to right before a bell rings", "no dog"]


def settings(server: Any, folder: Path, **queries: Any) -> Settings:
    file = folder / "queries.tsv"
    file.write_text("".join(f"{number}\t{text}\n" for number, text in enumerate(TEXTS, 1)))
    return Settings.model_validate(
        {
            "teachers": {"text": {"spec": f"openai:judge@{server.url}", "sampling": {"max_frames": 0}}},
            "roles": {"queries": "text"},
            "inputs": {"queries": str(file)},
            "queries": queries,
        }
    )


def facets(run: Path) -> dict[str, list[tuple[str, str]]]:
    found = read_records(run / Query.FILE, Query)
    return {
        query.text: [(facet.text, facet.modality) for facet in query.facets] for query in found if query.view == "user"
    }


def test_users_queries_get_facets(teacher_server: Any, place: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def run(**queries: Any) -> int:
        before = teacher_server.total_asked
        done = hardcut.run(
            place / "videos",
            tmp_path / "run",
            settings=settings(teacher_server, tmp_path, **queries),
            cache=cache,
            until="probe",
        )
        assert not any(stage.failed for stage in done.status().stages)
        return int(teacher_server.total_asked) - before

    asked = settings(teacher_server, tmp_path)
    planned = asyncio.run(estimate(place / "videos", tmp_path / "run", asked, Cache(cache)))
    [line] = [line for line in planned.lines if line.stage == "user_queries"]
    assert (line.known, line.calls, line.estimated, line.frames) == (1, 1, 0, 0)
    assert run() == 1
    [body] = teacher_server.bodies
    assert body["messages"][0]["content"].startswith("You take search queries") and TEXTS[2] in str(body)
    found = facets(tmp_path / "run")
    assert found[TEXTS[0]] == [("SALE", "ocr")] and found[TEXTS[2]] == []
    assert found[TEXTS[1]] == [("a ball moves from left to right", "motion"), ("a bell rings", "sound")]
    assert run() == 0, "a second run asks nothing"
    assert run(decompose=False) == 0 and not any(facets(tmp_path / "run").values())
    assert run() == 0 and facets(tmp_path / "run") == found, "the earlier setting gives the earlier facets"
    again = asyncio.run(estimate(place / "videos", tmp_path / "run", asked, Cache(cache)))
    assert not sum(line.calls for line in again.lines if line.stage == "user_queries")


def test_what_is_asked_of_users_queries_is_shown_and_written_to_files(
    teacher_server: Any, place: Path, tmp_path: Path
) -> None:
    """Before the run begins: it is asked without a video. The answers are then found by the run."""
    asked, cache = settings(teacher_server, tmp_path), Cache(tmp_path / "cache")
    config = tmp_path / "config.toml"
    config.write_text(format_settings(asked))
    run = tmp_path / "run"
    [message] = asyncio.run(messages("decompose", None, run, config, cache))
    assert message["stage"] == "user_queries" and TEXTS[2] in str(message["messages"])
    with pytest.raises(UsageError, match="name one with --video"):
        asyncio.run(messages("caption", None, run, config, cache))
    written = asyncio.run(write_batch(run, config, cache, tmp_path / "batches", "user_queries"))
    assert written.questions == {"user_queries": 1}
    [line] = map(json.loads, written.files[0].read_text().splitlines())
    body = line["body"]
    shown = [part["text"] for each in message["messages"] for part in each["content"]]
    assert all(text in json.dumps(body, ensure_ascii=False) for text in map(json_inside, shown))
    answer = asyncio.run(answered(teacher_server, body))
    results = tmp_path / "results.jsonl"
    results.write_text(json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": answer}}))
    read = asyncio.run(read_batch(run, config, cache, [results]))
    assert (read.kept, read.refused, read.failed, read.foreign) == (1, {}, {}, 0)
    before = teacher_server.total_asked
    hardcut.run(place / "videos", run, settings=asked, cache=tmp_path / "cache", until="probe")
    assert teacher_server.total_asked == before and facets(run)[TEXTS[0]] == [("SALE", "ocr")]


def json_inside(text: str) -> str:
    """A text as it stands in JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


async def answered(server: Any, body: dict[str, Any]) -> Any:
    """What the server says to a line of a batch."""
    import aiohttp

    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/chat/completions", json=body) as reply:
        return await reply.json()
