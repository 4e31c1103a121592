"""Each thing is encoded once; what is missing is named; a server and a model on this machine are the same to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.embedder.embedding import Embedded, EmbedJob, embed
from hardcut.embedder.encoders import Role, Shown
from hardcut.embedder.items import Entry, Search, Source, entries, of_dataset
from hardcut.embedder.searching import search
from hardcut.embedder.server import ServerEncoder
from hardcut.engine.vectors import VectorFolder, unit
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import ClipRef
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.trec import read_run
from hardcut.teacher.server.keys import KeySource

pytest.importorskip("pyarrow")


class Counting:
    """Vectors of what is shown: the mean colour and the number of frames, or the letters. Counts what it is shown."""

    sees = True
    batch = 3

    def __init__(self, die_after: int | None = None) -> None:
        self.shown: list[tuple[str | None, int, Role]] = []
        self._die_after = die_after

    def encode(self, items: Sequence[Shown], role: Role) -> Any:
        if any(item.text == "bad" for item in items):
            raise ItemError("no_vector", "it makes no sense")
        for item in items:
            self.shown.append((item.text, len(item.clip.times_s) if item.clip else 0, role))
        if self._die_after is not None and len(self.shown) > self._die_after:
            raise KeyboardInterrupt
        return unit([self._numbers(item) for item in items])

    def _numbers(self, item: Shown) -> list[float]:
        seen = item.clip.array.mean((0, 1, 2)).tolist() if item.clip else [0.0, 0.0, 0.0]
        return [1.0, *(value / 255 for value in seen), sum(map(ord, item.text or "")) % 17]


def job(world: Any, out: Path, what: Sequence[str] = ("videos", "captions", "queries")) -> EmbedJob:
    found = entries(of_dataset(with_corpus(world)), what, sees=True)  # type: ignore[arg-type]
    return EmbedJob(found, out, world.clips, 4, {"model": "counting"})


def with_corpus(world: Any) -> Any:
    """The reranker's world with the config that lists its videos."""
    seen = {row["video_id"]: (split, row) for split, row in world.tables["pairs"]}
    rows = [(split, {name: row[name] for name in ("video_id", "video_path", "sha256")}) for split, row in seen.values()]
    return type(world)(world.clips, {**world.tables, "corpus": rows})


def counts(done: Embedded) -> tuple[dict[str, int], int]:
    return done.vectors, done.made


def test_videos_captions_and_queries_are_encoded_once(world: Any, tmp_path: Path) -> None:
    first = Counting()
    done = embed(job(world, tmp_path / "v"), first)
    assert counts(done) == ({"captions": 16, "queries": 16, "videos": 16}, 48) and done.dimension == 5
    assert not done.left_out
    assert {(frames, role) for _, frames, role in first.shown} == {(4, "document"), (0, "document"), (0, "query")}
    again = Counting()
    assert counts(embed(job(world, tmp_path / "v"), again)) == ({"captions": 16, "queries": 16, "videos": 16}, 0)
    assert again.shown == []


def test_what_changed_is_encoded_again_and_what_is_gone_goes(world: Any, tmp_path: Path) -> None:
    embed(job(world, tmp_path / "v", ["captions"]), Counting())
    source = of_dataset(with_corpus(world))
    one, two = sorted(source.captions)[:2]
    told = {**source.captions, one: ("something else",)}
    del told[two]
    changed = entries(Source(source.videos, told, source.queries), ["captions"], sees=True)
    after = Counting()
    done = embed(EmbedJob(changed, tmp_path / "v", world.clips, 4, {"model": "counting"}), after)
    assert counts(done) == ({"captions": 15}, 1) and [text for text, *_ in after.shown] == ["something else"]


def test_an_interrupted_call_goes_on_with_what_is_missing(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardcut.embedder.embedding._VIDEOS", 3)
    with pytest.raises(KeyboardInterrupt):
        embed(job(world, tmp_path / "v"), Counting(die_after=7))
    with pytest.raises(UsageError, match="interrupted"):
        VectorFolder(tmp_path / "v").note  # noqa: B018
    rest = Counting()
    embed(job(world, tmp_path / "v"), rest)
    assert sum(frames > 0 for _, frames, _ in rest.shown) == 16 - 6
    embed(job(world, tmp_path / "whole"), Counting())
    for kind in ("videos", "captions", "queries"):
        one, other = VectorFolder(tmp_path / "v"), VectorFolder(tmp_path / "whole")
        assert one.ids(kind) == other.ids(kind) and (one.matrix(kind) == other.matrix(kind)).all()


def test_what_has_no_vector_is_named(world: Any, tmp_path: Path) -> None:
    lost = ClipRef("lost", "lost.mp4", "0" * 64)
    source = of_dataset(with_corpus(world))
    queries = (*source.queries, Search("bad", "bad"), Search("edit", "in reverse", "nowhere"))
    found = entries(Source({**source.videos, "lost": lost}, source.captions, queries), ["videos", "queries"], sees=True)
    done = embed(EmbedJob(found, tmp_path / "v", world.clips, 4, {"model": "counting"}), Counting())
    assert {each.item: each.reason for each in done.left_out} == {
        "lost": "missing_video", "bad": "no_vector", "edit": "no_reference",
    }  # fmt: skip
    assert done.vectors == {"queries": 16, "videos": 16}
    lines = [json.loads(line) for line in (tmp_path / "v" / "left_out.jsonl").read_text().splitlines()]
    assert [line["item"] for line in lines] == [each.item for each in done.left_out]


def test_composed_queries_are_an_edit_of_a_video_or_of_its_caption() -> None:
    source = Source(
        {"v": ClipRef("v", "v.mp4", "0" * 64)}, {"v": ("A red ball.", "Balls.")}, (Search("q", "reversed", "v"),)
    )
    (seen,) = entries(source, ["queries"], sees=True).of["queries"]
    (read,) = entries(source, ["queries"], sees=False).of["queries"]
    assert seen == Entry("q", "reversed", source.videos["v"])
    assert read == Entry("q", "A red ball. Edit: reversed")
    assert entries(source, ["captions"], sees=False).of["captions"] == (Entry("v", "A red ball.\nBalls."),)


def test_another_model_needs_another_folder(world: Any, tmp_path: Path) -> None:
    embed(job(world, tmp_path / "v", ["captions"]), Counting())
    other = EmbedJob(job(world, tmp_path / "v", ["captions"]).entries, tmp_path / "v", world.clips, 4, {"model": "new"})
    with pytest.raises(UsageError, match="differ in model"):
        embed(other, Counting())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        embed(job(world, tmp_path / "full"), Counting())


def test_a_run_of_the_best_is_written(world: Any, tmp_path: Path) -> None:
    embed(job(world, tmp_path / "v"), Counting())
    found = search(VectorFolder(tmp_path / "v"), VectorFolder(tmp_path / "v"), None, 5, tmp_path / "dense.trec")
    assert (found.queries, found.documents, found.kind) == (16, 16, "videos")
    run = read_run(tmp_path / "dense.trec")
    assert run.tag == "dense" and {len(scores) for scores in run.scores.values()} == {5}
    vectors = VectorFolder(tmp_path / "v")
    queries, videos = vectors.matrix("queries"), vectors.matrix("videos")
    for at, query in enumerate(vectors.ids("queries")):
        exact = dict(zip(vectors.ids("videos"), (videos @ queries[at]).tolist(), strict=True))
        worst = sorted(exact.values())[-5]
        for video, score in run.scores[query].items():
            assert score == pytest.approx(exact[video], abs=2e-6) and score >= worst - 2e-6
    with pytest.raises(UsageError, match="no captions"):
        embed(job(world, tmp_path / "w", ["videos", "queries"]), Counting())
        search(VectorFolder(tmp_path / "w"), VectorFolder(tmp_path / "w"), "captions", 5, tmp_path / "x")


def remote(url: str, form: Any = "openai") -> ServerEncoder:
    return ServerEncoder("some-model", url, form, concurrency=2, timeout_s=20, key=KeySource(()))


def test_a_server_of_embeddings_is_asked_in_lists(server: Any) -> None:
    encoder = remote(server.url)
    texts = [f"red ball number {number}" for number in range(70)]
    server.fail = [503]
    found = encoder.encode([Shown(text) for text in texts], "document")
    assert np.allclose(
        found, unit([server.vector(text) for text in texts]), atol=1e-6
    )  # in order, though it answers backwards
    assert sorted(len(body["input"]) for body in server.asked) == [6, 64] and not encoder.sees
    encoder.close()


def test_a_pooling_server_is_shown_frames_with_their_times(world: Any, server: Any, tmp_path: Path) -> None:
    encoder = remote(server.url, "pooling")
    done = embed(job(world, tmp_path / "v", ["videos"]), encoder)
    assert done.vectors == {"videos": 16}
    body = server.asked[0]
    (part,) = body["messages"][0]["content"]
    frames = part["video_url"]["url"].removeprefix("data:video/jpeg;base64,").split(",")
    assert len(frames) == 4
    told = body["media_io_kwargs"]["video"]
    assert told["num_frames"] == 4 and told["frames_indices"] == [0, 667, 1000, 1667] and told["fps"] == 1000.0
    encoder.close()


def test_one_refused_text_costs_no_other(server: Any, tmp_path: Path) -> None:
    texts = {f"v{number}": (f"text {number}",) for number in range(5)} | {"long": ("far too long",)}
    server.refuses = "far too long"
    found = entries(Source({}, texts, ()), ["captions"], sees=False)
    clips = Clips(tmp_path, tmp_path, MediaSettings())
    encoder = remote(server.url)
    done = embed(EmbedJob(found, tmp_path / "v", clips, 4, {"model": "m"}), encoder)
    assert done.vectors == {"captions": 5} and [each.item for each in done.left_out] == ["long"]
    encoder.close()


def test_nobody_there_ends_the_call(tmp_path: Path) -> None:
    encoder = remote("http://127.0.0.1:9/v1")
    with pytest.raises(MissingDependency, match="start the server"):
        encoder.encode([Shown("a")], "query")
