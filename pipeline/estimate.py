"""The questions and the cost of a run, before anything is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.media.collection import VideoFile
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import find_videos
from hardcut.pipeline.preview import Question, RunRecords, is_free, preview
from hardcut.pipeline.stages import asking
from hardcut.schemas.records import Caption, Pair, Query, View
from hardcut.schemas.resources import Budget
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.text_only import TEXT_ONLY_RANK
from hardcut.synth.negatives import DENIAL_CANDIDATES, USER_DEPTH
from hardcut.synth.queries import NEEDED
from hardcut.synth.triplet_stage import triplet_requests
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.brief import Briefing
from hardcut.teacher.registry import prompts_of

_CHARACTERS_A_TOKEN = 3.5
_PIXELS_A_TOKEN = 32 * 32
"""Of Qwen3-VL: patches of 16 pixels, merged two by two."""
_USUAL_TEXT = 1500
"""Tokens of text in a prompt, where no prompt is known yet."""
_SHORTEST_REPLY = 40


@dataclass(slots=True)
class _Estimate:
    """Calls that follow from the settings, with frames and without."""

    shown: int = 0
    text_only: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """The calls of one stage to one teacher. `known` calls are counted. `estimated` calls follow from the settings,
    since their inputs do not exist yet. Tokens and price leave out calls with a reply in the cache. They are ranges,
    from the shortest to the longest reply that is allowed."""

    stage: str
    teacher: str
    known: int
    cached: int
    estimated: int
    frames: int
    prompt_tokens: int
    completion_tokens: tuple[int, int]
    price: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The calls of a run, a line for each stage and teacher."""

    videos: int
    lines: tuple[Line, ...]
    budget: Budget

    @property
    def calls(self) -> int:
        """Calls that are still to be paid."""
        return sum(line.known - line.cached + line.estimated for line in self.lines)

    @property
    def price(self) -> tuple[float, float]:
        """The lowest and the highest price of these calls."""
        low, high = (sum(line.price[end] for line in self.lines) for end in (0, 1))
        return low, high


async def estimate(videos: Path, run: Path, settings: Settings, cache: Cache) -> Estimate:
    """The calls that the run in `run` over the folder `videos` would make. Raises UsageError as the run does."""
    files = find_videos(videos, settings, run, cache).files
    records = RunRecords(run)
    found = await preview(settings, run, cache, records, asking(), sorted(records.videos))
    lines = []
    for (stage, teacher), more in _estimated(settings, records, files).items():
        mine = [each for each in found if each.stage == stage and each.teacher == teacher]
        lines.append(_line(stage, teacher, mine, more, settings))
    return Estimate(len(files), tuple(lines), settings.budget)


def _estimated(
    settings: Settings, records: RunRecords, files: Sequence[VideoFile]
) -> dict[tuple[str, TeacherSettings], _Estimate]:
    """The calls of each stage to each teacher about videos whose records do not exist yet. Calls that are made only
    where something is wrong (a correction, a rewriting) or alike (a composed query) are not counted."""
    options, writes = settings.queries, settings.writer
    unseen = [file for file in files if file.video_id not in records.videos]
    uncaptioned = [file for file in files if file.video_id not in records.videos_with[Caption]]
    unasked = [file for file in files if file.video_id not in records.videos_with[Query]]
    unpaired = unseen if records.videos_with[Pair] else files
    views = {file.video_id: _views(file, records, settings) for file in files}
    rewordings = bool(options.paraphrases) + len(options.languages)
    rewordings += 2 * bool(rewordings)
    asked = settings.counterfactuals.variants
    variants = len(asked) + ("negated" in asked)  # both sides of what is denied are judged
    turned = sum(len([view for view in views[file.video_id] if view != "metadata"]) for file in unasked)
    turned *= options.per_view  # queries about metadata have no counterfactual
    queries = sum(len(views[file.video_id]) for file in unpaired) * options.per_view
    pairs = queries * min(1 + settings.negatives.per_query, len(files))
    pairs += queries * DENIAL_CANDIDATES * ("negated" in settings.counterfactuals.variants)
    if settings.inputs.queries and not records.videos_with[Pair]:
        depth = max(USER_DEPTH, settings.negatives.per_query)
        pairs += len(read_queries(Path(settings.inputs.queries))) * min(depth, len(files))
    calls: defaultdict[tuple[str, TeacherSettings], _Estimate] = defaultdict(_Estimate)
    calls["captions", writes("captions")].shown += len(unseen)
    calls["captions", writes("check")].shown += len(unseen) * settings.captions.check
    for file in uncaptioned:
        pictured = "caption" in views[file.video_id]  # one request a view, and that one shows the frames
        calls["queries", writes("queries")].shown += pictured
        calls["queries", writes("queries")].text_only += len(views[file.video_id]) - pictured + rewordings
    calls["counterfactuals", writes("counterfactuals")].shown += turned * bool(variants)
    for judge in settings.judges:
        calls["counterfactuals", judge].shown += turned * variants
    if settings.triplets.nuances:
        texts = [len(views[file.video_id]) * options.per_view * (1 + variants) for file in unasked]
        asked_again = sum(triplet_requests(count) for count in texts) * bool(settings.triplets.paraphrases)
        calls["triplets", writes("queries")].text_only += asked_again
    for judge in settings.judges:
        calls["scores", judge].shown += pairs * settings.scores.samples
    with_metadata = sum(len(views[file.video_id]) for file in unpaired if _has_metadata(file, settings))
    looked_at = with_metadata * options.per_view * min(TEXT_ONLY_RANK, len(files))
    calls["scores", settings.judges[0]].text_only += looked_at
    return calls


def _views(file: VideoFile, records: RunRecords, settings: Settings) -> list[View]:
    """The views that a video is asked for. Where its evidence is known, those that have material; else all of them, but
    for that of metadata, which is known beforehand."""
    kinds = records.evidence_kinds.get(file.video_id)
    if kinds is None:
        return [view for view in settings.queries.views if view != "metadata" or _has_metadata(file, settings)]
    return [view for view in settings.queries.views if view not in NEEDED or NEEDED[view] in kinds]


def _has_metadata(file: VideoFile, settings: Settings) -> bool:
    return any(file.metadata.get(name) for name in settings.evidence.metadata_fields)


def _line(stage: str, teacher: TeacherSettings, mine: Sequence[Question], more: _Estimate, settings: Settings) -> Line:
    if is_free(teacher):
        return Line(stage, teacher.spec, 0, 0, 0, 0, 0, (0, 0), (0.0, 0.0))
    prompts, briefing = prompts_of(teacher), Briefing()
    distinct: dict[tuple[object, ...], tuple[Question, int]] = {}
    for each in mine:  # what is asked of two videos in the same words, without pictures, is asked once
        request = briefing.brief(each.request).request
        filled = prompts.fill(request)
        shown = tuple(frame.sha256 for _, frame in request.pictures)
        key = (request.task, filled.system, filled.user, shown, request.sampling)
        distinct[key] = each, round((len(filled.system) + len(filled.user)) / _CHARACTERS_A_TOKEN)
    missing = [(each.request, tokens) for each, tokens in distinct.values() if not each.kept]
    texts = [tokens for _, tokens in missing]
    usual = sum(texts) // len(texts) if texts else _USUAL_TEXT
    frames = sum(len(request.pictures) for request, _ in missing) + more.shown * teacher.sampling.max_frames
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
        len(distinct),
        len(distinct) - len(missing),
        estimated,
        frames,
        prompt,
        completion,
        (teacher.price.cost(prompt, completion[0]), teacher.price.cost(prompt, completion[1])),
    )
