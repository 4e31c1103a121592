"""Texts that say the prompt back are no queries. The first ones here were written by SmolLM2-135M-Instruct."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hardcut.engine.stage import Unit
from hardcut.schemas.records import Caption, Sampling, TeacherRef, Video
from hardcut.schemas.settings import QuerySettings
from hardcut.synth.echoes import is_echo
from hardcut.synth.queries import QueryStage
from hardcut.teacher.prompts.render import prompt_sources
from hardcut.teacher.prompts.reply_models import FacetReply, QueriesReply, QueryReply


@pytest.mark.parametrize(
    "text",
    [
        "event, temporal, negation, moment, cause, count, spatial, multi_hop, contradiction",
        "event",
        "Title:",
        "a00",
        "- a00, a01",
        "multi hop | ocr",
        "Two cyclists collide at a roundabout.",
        "kind: event; view: ocr",
    ],
)
def test_the_prompt_said_back_is_an_echo(text: str) -> None:
    assert is_echo(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F11",
        "the A38 in the rain",
        "question time",
        "a moment of silence",
        "two cyclists collide at a crossroads",
        "la description du lac",
        "声音",
        "title fight",
    ],
)
def test_what_a_person_would_ask_is_none(text: str) -> None:
    assert not is_echo(text)


def test_every_example_of_the_prompt_is_known() -> None:
    kinds = re.findall(r'^- \w+: .*\("([^"]+)"', prompt_sources(None)["queries.system.txt.jinja"], re.M)
    assert len(kinds) == 9 and all(map(is_echo, kinds))


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
