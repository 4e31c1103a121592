"""Texts that say the prompt back are no queries. The first ones here were written by SmolLM2-135M-Instruct."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit
from hardcut.pipeline.context import Context, Teachers
from hardcut.pipeline.stages import entry
from hardcut.schemas.records import Caption, Sampling, TeacherRef, Video
from hardcut.schemas.settings import QuerySettings, Settings
from hardcut.synth.composed import ComposedStage
from hardcut.synth.echoes import examples_of, is_echo
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.queries import QueryStage
from hardcut.teacher.prompts.render import Prompts, prompt_sources
from hardcut.teacher.prompts.reply_models import FacetReply, QueriesReply, QueryReply

OURS = examples_of(Prompts(), "queries")


@pytest.mark.parametrize(
    "text",
    [
        "event, temporal, negation, moment, cause, count, spatial, multi_hop, contradiction",
        "event temporal negation",
        "Title:",
        "a00",
        "- a00, a01",
        "multi hop | ocr",
        "Two cyclists collide at a roundabout.",
        "kind: event; view: ocr",
    ],
)
def test_the_prompt_said_back_is_an_echo(text: str) -> None:
    assert is_echo(text, OURS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F11",
        "f16",
        "end",
        "start",
        "event",
        "sound description",
        "the A38 in the rain",
        "question time",
        "a moment of silence",
        "two cyclists collide at a crossroads",
        "la description du lac",
        "声音",
        "title fight",
        "count: three lorries",
    ],
)
def test_what_a_person_would_ask_is_none(text: str) -> None:
    """However short it is."""
    assert not is_echo(text, OURS)


def test_every_example_of_the_prompt_is_known() -> None:
    kinds = re.findall(r'^- \w+: .*\("([^"]+)"', prompt_sources(None)["queries.system.txt.jinja"], re.M)
    assert len(kinds) == 9 and all(is_echo(kind, OURS) for kind in kinds)
    edit = "The same, but the car goes the other way"
    assert is_echo(edit, examples_of(Prompts(), "compose")) and not is_echo(edit, OURS)


def test_the_examples_of_a_prompt_of_ones_own_are_known_in_place_of_ours(tmp_path: Path) -> None:
    """In whatever quotation marks. What a template fills in, and keys of the reply, are no examples."""
    (tmp_path / "queries.system.txt.jinja").write_text(
        'Such as "a kettle boils over", “ein Hund bellt laut”, «le train part sans elle» or 「門を開ける男がいる」. '
        '{% if view == "all of them" %}{{ "one two three" }}{% endif %}{"text": "end of game"}',
        encoding="utf-8",
    )
    own = examples_of(Prompts(tmp_path), "queries")
    for text in ("A kettle boils over!", "Ein Hund bellt laut", "le train part sans elle", "門を開ける男がいる"):
        assert is_echo(text, own) and not is_echo(text, OURS)
    assert len(own) == 5, "and the value in the reply's form"
    assert not is_echo("two cyclists collide at a roundabout", own), "the prompt was not sent that"


def test_a_run_leaves_out_the_examples_of_the_prompts_that_it_sends(tmp_path: Path) -> None:
    (tmp_path / "queries.system.txt.jinja").write_text('Such as "a kettle boils over"', encoding="utf-8")
    writer = {"spec": "openai:m@http://127.0.0.1:9/v1", "prompts": str(tmp_path)}
    settings = Settings.model_validate({"teachers": {"writer": writer}, "roles": {"queries": "writer"}})
    with WorkerPool(1, 10.0) as pool:
        frames = FrameSource(tmp_path, tmp_path / "frames", settings.media, pool)
        context = Context(settings, tmp_path, frames, Teachers(settings, None, FileDigests(tmp_path)), None)  # type: ignore[arg-type]
        queries, composed = (entry(name).make(context) for name in ("queries", "composed"))
    assert isinstance(queries, QueryStage) and isinstance(composed, ComposedStage)
    assert is_echo("a kettle boils over", queries.examples) and not is_echo("a kettle boils over", composed.examples)


async def test_an_echo_is_left_out_by_name_and_the_others_stay(
    scripted: Any, no_frames: Any, make_video: Callable[..., Video]
) -> None:
    video = make_video()
    caption = Caption.create(video_id=video.video_id, text="A greeting.", teacher=TeacherRef(backend="t", model="t"))
    facet = FacetReply(text="a greeting", modality="visual", start=None, end=None)
    replies = tuple(
        QueryReply(text=text, language="en", view="caption", kind="event", style="plain", facets=(facet,))
        for text in ("event, temporal", "someone greets a neighbour")
    )
    options = QuerySettings(views=("caption",), per_view=2)
    stage = QueryStage(scripted(QueriesReply(queries=replies)), no_frames, Sampling(), options)
    output = await stage.run(Unit(video.video_id, (video, caption)))
    assert [query.text for query in output.records] == ["someone greets a neighbour"]
    assert [drop.reason for drop in output.dropped] == ["echo"] and "event, temporal" in output.dropped[0].detail
