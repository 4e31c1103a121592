"""`hardcut plan`: what a run would ask, and what that costs, before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hardcut.cli.asked import ASKING, Asked, Records, asked
from hardcut.cli.paths import Cache, cache_folder
from hardcut.cli.terminal import output, plain
from hardcut.engine.reply_cache import ReplyCache
from hardcut.media.collection import VideoFile, scan
from hardcut.schemas.config import load_settings
from hardcut.schemas.records import Caption, Pair, Query
from hardcut.schemas.settings import Settings, TeacherSettings
from hardcut.synth.negatives import USER_DEPTH
from hardcut.synth.scores import TEXT_ONLY_RANK
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.protocol import Request
from hardcut.teacher.registry import open_teacher, prompts_of

_CHARACTERS_A_TOKEN = 3.5
_PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 pixels, merged two by two."""
_USUAL_TEXT = 1500
"""Tokens of text in a prompt, where no prompt is known yet."""
_SHORTEST_REPLY = 40
_WIDTH = 160
"""Columns of the table at least: a narrow window breaks its lines and cuts no number."""


@dataclass(slots=True)
class _Estimate:
    """Calls that follow from the settings, with frames and without."""

    shown: int = 0
    text_only: int = 0


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
    files = scan(videos, manifest).files
    count = len(files)
    lines = list(_lines(settings, run, cache_folder(cache), files))
    calls = sum(line.known - line.cached + line.estimated for line in lines)
    low, high = (sum(line.price[end] for line in lines) for end in (0, 1))
    if as_json:
        total = {"videos": count, "calls": calls, "price": [low, high], "budget": settings.budget.model_dump()}
        print(json.dumps({"stages": [asdict(line) for line in lines], **total}, indent=2, ensure_ascii=False))
        return 0
    console = output()
    console.width = max(console.width, _WIDTH)
    console.print(_table(lines))
    priced = f", {low:,.2f} to {high:,.2f} at the settings' prices" if high else "; no price is set (teacher.price)"
    console.print(f"{count:,} videos, {calls:,} calls to be paid{priced}")
    if settings.budget.calls is not None and calls > settings.budget.calls:
        console.print(f"the budget of {settings.budget.calls:,} calls will stop the run before its end")
    return 0


def _lines(settings: Settings, run: Path, cache: Cache, files: Sequence[VideoFile]) -> Iterator[Line]:
    records = Records(run)
    with ExitStack() as stack:
        replies = stack.enter_context(ReplyCache(cache.replies)) if cache.replies.exists() else None
        found = asyncio.run(asked(settings, run, cache, ASKING, None, replies))
        for (stage, teacher), more in _estimated(settings, records, files).items():
            mine = [each for each in found if each.stage == stage and each.teacher == teacher]
            yield _line(stage, teacher, mine, more, settings, replies)


def _estimated(
    settings: Settings, records: Records, files: Sequence[VideoFile]
) -> dict[tuple[str, TeacherSettings], _Estimate]:
    """The calls of each stage to each teacher about videos whose records are not there yet; of those that are asked
    only where something was found wrong (a correction, a rewriting) or alike (a composed query) none."""
    unseen = [file for file in files if file.video_id not in records.videos]
    options, teacher = settings.queries, settings.teacher
    uncaptioned = len(unseen) + len(records.videos.keys() - records.of_kind[Caption])
    unasked = len(unseen) + len(records.videos.keys() - records.of_kind[Query])
    unpaired = unseen if records.of_kind[Pair] else files
    queries = len(options.views) * options.per_view
    rewordings = bool(options.paraphrases) + len(options.languages)
    rewordings += 2 * bool(rewordings)
    variants = len(settings.counterfactuals.variants)
    pairs = len(unpaired) * queries * min(1 + settings.negatives.per_query, len(files))
    if settings.inputs.queries and not records.of_kind[Pair]:
        depth = max(USER_DEPTH, settings.negatives.per_query)
        pairs += len(read_queries(Path(settings.inputs.queries))) * min(depth, len(files))
    calls: defaultdict[tuple[str, TeacherSettings], _Estimate] = defaultdict(_Estimate)
    calls["captions", teacher].shown += len(unseen) * (1 + settings.captions.check)
    calls["queries", teacher].shown += uncaptioned
    calls["queries", teacher].text_only += uncaptioned * rewordings
    calls["counterfactuals", teacher].shown += unasked * queries * bool(variants)
    for judge in settings.judges:
        calls["counterfactuals", judge].shown += unasked * queries * variants
    for judge in settings.judges:
        calls["scores", judge].shown += pairs * settings.scores.samples
    told = sum(any(file.metadata.get(name) for name in settings.evidence.metadata_fields) for file in unpaired)
    calls["scores", settings.judges[0]].text_only += told * queries * min(TEXT_ONLY_RANK, len(files))
    return calls


def _line(
    stage: str,
    teacher: TeacherSettings,
    mine: list[Asked],
    more: _Estimate,
    settings: Settings,
    replies: ReplyCache | None,
) -> Line:
    opened = open_teacher(teacher, settings.resources, replies=replies)
    if not isinstance(opened, CachedTeacher):  # costs nothing
        return Line(stage, teacher.spec, 0, 0, 0, 0, 0, (0, 0), (0.0, 0.0))
    requests = [each.request for each in mine]
    known = [reply is not None for reply in opened.stored(requests)]
    missing = [request for request, is_known in zip(requests, known, strict=True) if not is_known]
    prompts = prompts_of(teacher)

    def text(request: Request) -> int:
        filled = prompts.fill(request)
        return round((len(filled.system) + len(filled.user)) / _CHARACTERS_A_TOKEN)

    texts = [text(request) for request in missing]
    usual = sum(texts) // len(texts) if texts else _USUAL_TEXT
    frames = sum(len(request.pictures) for request in missing) + more.shown * teacher.sampling.max_frames
    estimated = more.shown + more.text_only
    prompt = sum(texts) + estimated * usual + frames * (settings.media.max_pixels // _PIXELS_A_TOKEN)
    calls = len(missing) + estimated
    longest = teacher.sampling.max_tokens
    one_token = stage == "scores" and not teacher.sampling.reasoning
    shortest = 1 if one_token else min(_SHORTEST_REPLY, longest)
    completion = calls * shortest, calls * (1 if one_token else longest)
    return Line(
        stage,
        teacher.spec,
        len(requests),
        sum(known),
        estimated,
        frames,
        prompt,
        completion,
        (teacher.price.cost(prompt, completion[0]), teacher.price.cost(prompt, completion[1])),
    )


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    for column in ("calls", "in cache", "estimated", "frames", "prompt tokens", "reply tokens", "price"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("teacher", overflow="fold")
    for line in lines:
        replies = f"{line.completion_tokens[0]:,} - {line.completion_tokens[1]:,}"
        price = f"{line.price[0]:,.2f} - {line.price[1]:,.2f}" if line.price[1] else "-"
        numbers = (line.known, line.cached, line.estimated, line.frames, line.prompt_tokens)
        table.add_row(line.stage, *(f"{number:,}" for number in numbers), replies, price, plain(line.teacher))
    return table
