"""In a browser: an answer is kept until the server has taken it; what is left is told; a narrow screen has the buttons;
two keys answer a record."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardcut.annotate.embedded.server import EmbeddedServer, Order, connection, running
from tests.annotate.loop.browsing import annotation_page, aside, by_keyboard, sign_in

Hardcut = Callable[..., tuple[int, str, str]]
PUT = "how somebody would put it"


def push(hardcut: Hardcut, sample: Any, data: Path, budget: int) -> None:
    where = ["--data", data, "--videos", sample.videos, "--cache", sample.cache, "--budget", str(budget)]
    assert aside(hardcut, "review", "push", sample.run, *where) == 0


def form(page: Any) -> tuple[list[str], str]:
    """What is chosen, and the wording."""
    chosen = page.evaluate("() => [...document.querySelectorAll('form input:checked')].map((one) => one.id).sort()")
    return chosen, page.locator("[aria-label='Question: rewrite'] [contenteditable]").inner_text().strip()


def until_form_is(page: Any, wanted: tuple[list[str], str]) -> None:
    for _ in range(300):
        if form(page) == wanted:
            return
        page.wait_for_timeout(200)
    assert form(page) == wanted


def query_of(page: Any) -> str:
    text: str = page.frame_locator("iframe").locator("#hc .query").text_content()
    return text


def kept(page: Any) -> int:
    """The answers that wait in the browser."""
    count: int = page.evaluate(
        "() => Object.keys(localStorage).filter((key) => key.startsWith('hardcut answer ')).length"
    )
    return count


def test_an_answer_outlives_the_server_and_the_tab(
    browser: Any, argilla_python: Path, tmp_path: Path, sample: Any, hardcut: Hardcut, make_api: Any
) -> None:
    """The server is killed, the answer is given, the tab is closed; both are opened again, and it is still there until
    the server has taken it."""
    data, name = tmp_path / "argilla", f"{sample.run.name}-assisted"
    with running(argilla_python, data, Order(port=0, reviewers=("bob",))) as started:
        push(hardcut, sample, data, 12)
        page = sign_in(browser, started, data, name)
        frame = page.frame_locator("iframe").locator("#hc")
        frame.locator("video").wait_for()
        total = int(page.locator("[aria-label='Total Records']").inner_text().removeprefix("of "))
        frame.get_by_text(f"{total} assisted").wait_for()
        assert "(first)" in frame.locator(".left button").inner_text(), "the blind ones come first, one click away"
        asked = query_of(page)
        os.kill(started.pid, signal.SIGKILL)
        frame.locator(".lost").wait_for()
        page.keyboard.press("2")
        page.locator("#flags_ambiguous").evaluate("(input) => input.click()")
        page.locator("[aria-label='Question: rewrite'] [contenteditable]").click()
        page.keyboard.type(PUT)
        page.get_by_role("button", name="Submit").click()
        wanted = (["flags_ambiguous", "relevance_in_part"], PUT)
        assert form(page) == wanted and kept(page) == 1
        page.close()
        context, port = page.context, int(started.url.rpartition(":")[2])

    with running(argilla_python, data, Order(port=port)) as again:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(annotation_page(again, data, name))
        frame = page.frame_locator("iframe").locator("#hc")
        frame.locator("video").wait_for()
        assert query_of(page) == asked
        frame.locator(".kept").wait_for()
        until_form_is(page, wanted)
        # The server fails while it takes the answer: the answer stays here.
        page.route("**/api/v1/records/*/responses", lambda route: route.fulfill(status=500, body="{}"))
        page.get_by_role("button", name="Submit").click()
        page.wait_for_timeout(1500)
        assert kept(page) == 1
        page.unroute("**/api/v1/records/*/responses")
        page.goto(annotation_page(again, data, name))
        until_form_is(page, wanted)
        page.get_by_role("button", name="Submit").click()
        page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('hardcut answer '))")
        frame.get_by_text("Answered today in this browser: 1").wait_for()
        (record,) = [each for each in make_api(connection(data)).records(name) if each["responses"]]
        (response,) = record["responses"]
        values = {question: told["value"] for question, told in response["values"].items()}
        assert values == {"relevance": "in_part", "flags": ["ambiguous"], "rewrite": PUT}
        page.context.close()


def test_an_answer_to_another_page_is_not_filled_in(
    browser: Any, server: tuple[Path, EmbeddedServer], sample: Any, hardcut: Hardcut
) -> None:
    """What was kept belongs to what was seen; and who only looks keeps nothing."""
    data, started = server
    push(hardcut, sample, data, 12)
    page = sign_in(browser, started, data, f"{sample.run.name}-blind")
    frame = page.frame_locator("iframe").locator("#hc")
    frame.locator("video").wait_for()
    page.keyboard.press("p")
    page.wait_for_timeout(300)
    assert kept(page) == 0
    page.keyboard.press("3")
    page.wait_for_function("() => Object.keys(localStorage).some((key) => key.startsWith('hardcut answer '))")
    page.reload()
    until_form_is(page, (["relevance_does_not"], ""))
    page.evaluate("""() => {
      const key = Object.keys(localStorage).find((one) => one.startsWith("hardcut answer "));
      localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), seen: 1 }));
    }""")
    page.reload()
    frame.locator("video").wait_for()
    page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('hardcut answer '))")
    assert form(page) == ([], "")
    page.context.close()


def test_a_narrow_screen_has_the_buttons_within_reach(
    browser: Any, server: tuple[Path, EmbeddedServer], sample: Any, hardcut: Hardcut
) -> None:
    data, started = server
    push(hardcut, sample, data, 12)
    for width, height in ((390, 844), (1366, 768), (1920, 1080)):
        page = sign_in(browser, started, data, f"{sample.run.name}-blind", (width, height))
        frame = page.frame_locator("iframe").locator("#hc")
        frame.locator("video").wait_for()
        frame.locator(".left").wait_for()
        inside = [page.get_by_role("button", name=one) for one in ("Submit", "Discard", "Answers it", "Does not")]
        for one in (*inside, frame.locator(".query"), frame.locator(".rail")):
            box = one.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, (width, one)
            assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, one)
        page.screenshot(path=sample.run.parent / f"review-{width}.png")
        page.get_by_role("button", name="In part").click()
        page.get_by_role("button", name="Submit").click()
        page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('hardcut answer '))")
        page.context.close()


def test_a_record_takes_two_keys(
    browser: Any, server: tuple[Path, EmbeddedServer], sample: Any, hardcut: Hardcut, make_api: Any
) -> None:
    """`benchmarks/review_keys.py` says how long it takes."""
    data, started = server
    push(hardcut, sample, data, 24)
    name = f"{sample.run.name}-blind"
    page = sign_in(browser, started, data, name)
    took = by_keyboard(page)
    page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('hardcut answer '))")
    answered = [record for record in make_api(connection(data)).records(name) if record["responses"]]
    assert len(answered) == len(took) >= 5
    page.context.close()
