"""What a reviewer does in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from hardcut.annotate.embedded.server import EmbeddedServer, connection


def aside(hardcut: Callable[..., tuple[int, str, str]], *arguments: str | Path) -> int:
    """A command's status. In a thread of its own: Playwright's event loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(hardcut, *arguments).result()[0]


class Player:
    """The clip on the page."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def until(self, condition: str) -> dict[str, Any]:
        """Waits for a condition on the video `v`; where it is then."""
        clip = "document.querySelector('iframe')?.contentDocument?.querySelector('video')"
        self._page.wait_for_function(f"() => {{ const v = {clip}; return v && ({condition}); }}")
        found: dict[str, Any] = self._page.evaluate(
            f"() => {{ const v = {clip}; return {{ time: v.currentTime, paused: v.paused, muted: v.muted }}; }}"
        )
        return found


def sign_in(
    browser: Any, started: EmbeddedServer, data: Path, dataset: str, screen: tuple[int, int] = (1440, 900)
) -> Any:
    """A page of a browser of its own, where bob answers the records of a set."""
    page = browser.new_context(viewport={"width": screen[0], "height": screen[1]}).new_page()
    page.set_default_timeout(120_000)  # a busy machine plays slowly
    page.goto(f"{started.url}/sign-in")
    page.fill("input[name=username], input[type=text]", "bob")
    page.fill("input[type=password]", started.passwords["bob"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{started.url}/")
    page.goto(annotation_page(started, data, dataset))
    return page


def by_keyboard(page: Any) -> list[float]:
    """Answers all records of a set but the last one, each by two keys. The seconds from the first key until the clip of
    the next record is ready to play."""
    total = int(page.locator("[aria-label='Total Records']").inner_text().removeprefix("of "))
    ready = "() => document.querySelector('iframe')?.contentDocument?.querySelector('#hc video')?.readyState >= 2"
    took = []
    page.wait_for_function(ready)
    for place in range(1, total):
        begun = time.perf_counter()
        for key in ("3", "Enter"):
            page.keyboard.press(key)
        page.get_by_text(f"{place + 1} of {total}", exact=True).wait_for()
        page.wait_for_function(ready)
        took.append(time.perf_counter() - begun)
    return took


def annotation_page(started: EmbeddedServer, data: Path, dataset: str) -> str:
    """Where a reviewer answers the records of a set."""
    headers = {"X-Argilla-Api-Key": connection(data).api_key}
    sets = httpx.get(f"{started.url}/api/v1/me/datasets", headers=headers, timeout=60).json()["items"]
    (dataset_id,) = (each["id"] for each in sets if each["name"] == dataset)
    return f"{started.url}/dataset/{dataset_id}/annotation-mode"
