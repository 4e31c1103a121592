"""`hardcut plan`: what a run would ask, and what that costs, before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hardcut.cli.asked import ASKING, Asked, Records, asked
from hardcut.cli.paths import Cache, cache_folder
from hardcut.engine.replies import ReplyCache
from hardcut.media.collection import scan
from hardcut.schemas.config import load_settings
from hardcut.schemas.records import Caption, Pair, Query
from hardcut.schemas.settings import Settings, TeacherSettings
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.protocol import Request
from hardcut.teacher.registry import open_teacher, prompts_of

_CHARACTERS_A_TOKEN = 3.5
_PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 pixels, merged two by two."""
_USUAL_TEXT = 1500
"""Tokens of text in a prompt, where no prompt is known yet."""
_SHORTEST_REPLY = 40


@dataclass(frozen=True, slots=True)
class Line:
    """What one stage asks of one teacher. `known` calls are counted, `estimated` ones follow from the settings, since
    what they depend on is not there yet. Tokens and price are of what is not in the cache: prompts, and replies from
    the shortest to the longest that are allowed."""

    stage: str
    teacher: str
    known: int
    cached: int
    estimated: int
    frames: int
    prompt_tokens: int
    completion_tokens: tuple[int, int]
    price: tuple[float, float]


def plan(
    videos: Path, run: Path, config: Path | None, overrides: Mapping[str, Any], cache: Path | None, *, as_json: bool
) -> int:
    """Prints a line for each stage that asks a teacher, and the sums. Raises UsageError as `hardcut run` does."""
    settings = load_settings(config, overrides)
    manifest = Path(settings.inputs.manifest) if settings.inputs.manifest else None
    count = len(scan(videos, manifest).files)
    lines = list(_lines(settings, run, cache_folder(cache), count))
    calls = sum(line.known - line.cached + line.estimated for line in lines)
    low, high = (sum(line.price[end] for line in lines) for end in (0, 1))
    if as_json:
        total = {"videos": count, "calls": calls, "price": [low, high], "budget": settings.budget.model_dump()}
        print(json.dumps({"stages": [asdict(line) for line in lines], **total}, indent=2, ensure_ascii=False))
        return 0
    console = Console()
    console.print(_table(lines))
    priced = f", {low:,.2f} to {high:,.2f} at the settings' prices" if high else "; no price is set (teacher.price)"
    console.print(f"{count:,} videos, {calls:,} calls to be paid{priced}")
    if settings.budget.calls is not None and calls > settings.budget.calls:
        console.print(f"the budget of {settings.budget.calls:,} calls will stop the run before its end")
    return 0


def _lines(settings: Settings, run: Path, cache: Cache, videos: int) -> Iterator[Line]:
    records = Records(run)
    with ExitStack() as stack:
        replies = stack.enter_context(ReplyCache(cache.replies)) if cache.replies.exists() else None
        found = asyncio.run(asked(settings, run, cache, ASKING, None, replies))
        for (stage, teacher), more in _estimated(settings, records, videos).items():
            mine = [each for each in found if each.stage == stage and each.teacher == teacher]
            yield _line(stage, teacher, mine, more, settings, replies)


def _estimated(settings: Settings, records: Records, videos: int) -> dict[tuple[str, TeacherSettings], int]:
    """The calls of each stage to each teacher about videos whose records are not there yet; of those that are asked
    only where something was found wrong (a correction, a rewriting) none."""
    new = max(0, videos - len(records.videos))
    options = settings.queries
    uncaptioned = new + len(records.videos.keys() - records.of_kind[Caption])
    unasked = new + len(records.videos.keys() - records.of_kind[Query])
    queries = len(options.views) * options.per_view
    rewordings = bool(options.paraphrases) + len(options.languages)
    rewordings += 2 * bool(rewordings)
    pairs = queries * min(1 + settings.negatives.per_query, videos) * settings.scores.samples
    teacher, variants = settings.teacher, len(settings.counterfactuals.variants)
    calls: Counter[tuple[str, TeacherSettings]] = Counter()
    calls["captions", teacher] += new * (1 + settings.captions.check)
    calls["queries", teacher] += uncaptioned * (1 + rewordings)
    calls["counterfactuals", teacher] += unasked * queries * bool(variants)
    for judge in settings.judges:
        calls["counterfactuals", judge] += unasked * queries * variants
    for judge in settings.judges:
        calls["scores", judge] += (new if records.of_kind[Pair] else videos) * pairs
    return calls


def _line(
    stage: str, teacher: TeacherSettings, mine: list[Asked], more: int, settings: Settings, replies: ReplyCache | None
) -> Line:
    opened = open_teacher(teacher, settings.resources, replies=replies)
    if not isinstance(opened, CachedTeacher):  # costs nothing
        return Line(stage, teacher.spec, 0, 0, 0, 0, 0, (0, 0), (0.0, 0.0))
    requests = [each.request for each in mine]
    known = [reply is not None for reply in opened.stored(requests)]
    missing = [request for request, is_known in zip(requests, known, strict=True) if not is_known]
    prompts = prompts_of(teacher)

    def tokens(request: Request) -> int:
        text = prompts.fill(request)
        return round((len(text.system) + len(text.user)) / _CHARACTERS_A_TOKEN) + len(request.pictures) * picture

    picture = settings.media.max_pixels // _PIXELS_A_TOKEN
    counted = [tokens(request) for request in missing]
    usual = _USUAL_TEXT + teacher.sampling.max_frames * picture
    if counted:
        usual = sum(counted) // len(counted)
    prompt = sum(counted) + more * usual
    calls = len(missing) + more
    longest = teacher.sampling.max_tokens
    one_token = stage == "scores" and not teacher.sampling.reasoning
    shortest = 1 if one_token else min(_SHORTEST_REPLY, longest)
    completion = calls * shortest, calls * (1 if one_token else longest)
    return Line(
        stage,
        teacher.spec,
        len(requests),
        sum(known),
        more,
        sum(len(request.pictures) for request in missing) + more * teacher.sampling.max_frames,
        prompt,
        completion,
        (teacher.price.of(prompt, completion[0]), teacher.price.of(prompt, completion[1])),
    )


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for column in ("calls", "in cache", "estimated", "frames", "prompt tokens", "reply tokens", "price"):
        table.add_column(column, justify="right")
    table.add_column("teacher", no_wrap=True)
    for line in lines:
        replies = f"{line.completion_tokens[0]:,} - {line.completion_tokens[1]:,}"
        price = f"{line.price[0]:,.2f} - {line.price[1]:,.2f}" if line.price[1] else "-"
        numbers = (line.known, line.cached, line.estimated, line.frames, line.prompt_tokens)
        table.add_row(line.stage, *(f"{number:,}" for number in numbers), replies, price, escape(line.teacher))
    return table
