"""The predictor finds what a page tells, and nothing where it tells nothing; the page shows what it found last."""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks.blind_pages import RESULTS, VIEWS, Seen, measure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "review.md"
RUNS = ("demo", "real clips", "a small model writes and judges")
AT_CHANCE = ("page", "words", "meetings", "all")


def pages(*, leak: bool) -> list[Seen]:
    """A hundred pages of twenty videos; with a `leak`, what belongs together is a little longer."""
    dice = random.Random(3)
    made = []
    for at in range(100):
        own = dice.random() < 0.4
        told = (float(at), dice.random() + (0.8 if leak and own else 0.0))
        video = f"v{at % 20}"
        media = (float(at % 20), random.Random(video).random())
        made.append(Seen(told, media, f"words {dice.random()}", f"q{at // 2}", video, own, False, True))
    return made


def test_the_predictor_finds_a_leak_and_nothing_else() -> None:
    found = measure(pages(leak=True), VIEWS["page"], deals=20)
    assert found["accuracy"] > 0.8 > found["chance"][1]
    found = measure(pages(leak=False), VIEWS["page"], deals=20)
    assert found["accuracy"] < 0.65 and found["chance"][0] < 0.5 < found["chance"][1]


def test_the_page_has_the_last_figures_and_they_are_at_chance() -> None:
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    for name in (*VIEWS, "assisted"):
        cells = [told[run][name] for run in RUNS]
        texts = (f"{each['accuracy']:.2f} ({each['chance'][0]:.2f} to {each['chance'][1]:.2f})" for each in cells)
        assert f"| {' | '.join(texts)} |" in page, name
        assert name not in AT_CHANCE or all(each["accuracy"] <= each["chance"][1] for each in cells), name
        assert name != "assisted" or all(each["accuracy"] > each["chance"][1] for each in cells)
