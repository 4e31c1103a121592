"""A reviewer at work in a browser: the clip plays at its span, answers by keyboard arrive, hostile text is text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.annotate.embedded.server import EmbeddedServer
from hardcut.schemas.config import format_settings, load_settings
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Evidence, Facet, Pair, Query, Span, Video
from tests.annotate.loop.browsing import Player, annotation_page, aside, sign_in

HOSTILE = (
    '<script>top.pwned = 1</script></script><img src=x onerror="top.pwned = 2"> {{ 7*7 }} {{#each}} ${top.pwned = 3} '
    "$' $& #TEMPLATE# **bold** [link](javascript:top.pwned=4) `code` <!-- "
)
MOMENT = Span(start=1.0, end=2.5)


def make_hostile(run: Path) -> None:
    """Leaves three pairs of queries with their own source in the run, with hostile text wherever text is shown."""
    pairs = [pair for pair in read_records(run / Pair.FILE, Pair) if "source" in pair.origins]
    pairs = sorted(pairs, key=lambda pair: (pair.video_id, pair.pair_id))[:3]
    ids, videos = {pair.query_id for pair in pairs}, {pair.video_id for pair in pairs}
    facets = (Facet(text=f"seen {HOSTILE}", modality="visual", span=MOMENT),)
    queries = [
        query.model_copy(update={"text": HOSTILE, "facets": facets}) if query.query_id in ids else query
        for query in read_records(run / Query.FILE, Query)
    ]
    told = [
        video.model_copy(update={"metadata": {"title": HOSTILE}}) if video.video_id in videos else video
        for video in read_records(run / Video.FILE, Video)
    ]
    lines = [
        Evidence.create(video_id=video_id, kind="ocr", text=HOSTILE, span=Span(start=0.5, end=1), extractor="t")
        for video_id in videos
    ]
    for kind, records in ((Pair, pairs), (Query, queries), (Video, told), (Evidence, lines)):
        with (run / kind.FILE).open("w") as file:
            write_records(file, records)
    (run / "ledger.sqlite").unlink()  # it would restore the files that are changed here


def test_a_reviewer_at_work(
    browser: Any, server: tuple[Path, EmbeddedServer], sample: Any, hardcut: Callable[..., tuple[int, str, str]]
) -> None:
    data, started = server
    make_hostile(sample.run)
    config = sample.run.parent / "one.toml"
    told = {"budget": 3, "overlap": 1, "audit": 0.3, "gold": 0.0, "near_margin": 1000.0}  # 1 blind, 2 assisted
    asked = {f"review.{name}": value for name, value in told.items()}
    config.write_text(format_settings(load_settings(sample.run / "run.toml", asked)))
    where = ["--data", data, "--videos", sample.videos, "--cache", sample.cache, "--config", config]
    assert aside(hardcut, "review", "push", sample.run, *where) == 0
    page = sign_in(browser, started, data, f"{sample.run.name}-assisted")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    asked_elsewhere: list[str] = []
    page.on("response", lambda answer: asked_elsewhere.append(answer.url))
    page.on("requestfailed", lambda asked: asked_elsewhere.append(asked.url) if asked.failure != "csp" else None)
    page.reload()
    frame = page.frame_locator("iframe").locator("#hc")
    frame.locator("video").wait_for()

    # The moment plays, with sound or, where the browser wants a key first, without; it stops at the moment's end.
    video = Player(page)
    first = video.until("v.readyState >= 2 && v.currentTime > 1.05")
    assert MOMENT.start - 0.1 <= first["time"] <= MOMENT.end + 0.1
    ended = video.until("v.paused && !v.seeking && v.currentTime > 2")
    assert ended["time"] == pytest.approx(MOMENT.end, abs=0.05)

    # Hostile text is text, wherever it stands.
    assert frame.locator(".query").text_content() == HOSTILE.strip()
    cells = [text.strip() for text in frame.locator("td.text").all_text_contents() if "script" in text]
    assert cells == [HOSTILE.strip()] * 2, "evidence and title"
    assert frame.locator(".facets li").first.text_content() == f"seen {HOSTILE.strip()} · 0:01.0 – 0:02.5"
    assert frame.locator("script, a, code, strong, em, img:not(.sheet)").count() == 0
    assert page.evaluate("() => window.pwned") is None and errors == []

    # By keyboard alone: the moment marked, the answer given and sent; the next record comes.
    page.keyboard.press("j")
    video.until("!v.seeking && v.currentTime < 2")
    page.keyboard.press("i")
    for _ in range(12):
        page.keyboard.press(".")
    video.until("!v.seeking && v.currentTime > 1.8")
    page.keyboard.press("o")
    field = page.locator("[aria-label='Question: moment'] [contenteditable]")
    assert re.fullmatch(r"0:01\.\d-0:0[12]\.\d", field.text_content() or "")
    # What is marked plays again and again, at any speed; who drags over the timeline marks too.
    page.keyboard.press("r")
    for condition in ("!v.paused && v.currentTime < 1.7", "v.currentTime > 1.8", "!v.paused && v.currentTime < 1.7"):
        video.until(condition)
    page.keyboard.press("+")
    assert video.until("v.playbackRate === 1.25")
    frame.locator(".badge", has_text=re.compile("^speed 1.25 · loop$")).wait_for()
    page.keyboard.press("r")
    page.keyboard.press("-")
    frame.locator(".rail").scroll_into_view_if_needed()
    box = frame.locator(".rail").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 11)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 11, steps=4)
    page.mouse.up()
    length = page.evaluate("() => document.querySelector('iframe').contentDocument.querySelector('video').duration")
    page.keyboard.press("2")
    page.keyboard.press("2")  # once more changes nothing: Argilla alone would take the answer away
    page.wait_for_function("() => document.querySelector('form input:checked')?.id === 'relevance_in_part'")
    page.screenshot(path=sample.run.parent / "review.png")
    # A server that is away is seen, also before anything is sent, and the answer stays in the page.
    lost = frame.locator(".lost")
    assert lost.is_hidden()
    page.context.set_offline(True)
    lost.wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("1 of 2", exact=True).wait_for()
    page.context.set_offline(False)
    lost.wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.get_by_text("2 of 2", exact=True).wait_for()

    # Blind there is the query and the whole video, from its beginning on, and nothing else.
    page.goto(annotation_page(started, data, f"{sample.run.name}-blind"))
    video.until("v.readyState >= 2 && v.currentTime < 0.9")
    assert [line for line in frame.inner_text().splitlines() if "script" in line] == [HOSTILE.strip()]
    assert frame.locator(".facets li, .rail .moment, td, h3, details").count() == 0
    own = (started.url, "data:", "blob:")
    assert asked_elsewhere and all(url.startswith(own) for url in asked_elsewhere), "no font from elsewhere"
    page.close()

    assert aside(hardcut, "review", "pull", sample.run, "--data", data) == 0
    (found,) = read_records(sample.run / Review.FILE, Review)
    assert (found.reviewer, found.relevance, found.status, found.blind) == ("bob", 1, "submitted", False)
    assert found.span is not None
    assert (found.span.start, found.span.end) == pytest.approx((0.3 * length, 0.4 * length), abs=0.2)
