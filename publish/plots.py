"""The plots of cards and thresholds: the teacher's margins, the first stage's ranks of the positives, words that lean
to one side of the blocks, and what answers look like beside other videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hardcut.publish.comparisons import ALL, Looks
from hardcut.publish.dataset import Dataset
from hardcut.report.plots.bars import write_bars
from hardcut.report.statistics.looks import leaning_features
from hardcut.report.statistics.sides import Sides, leaning_words
from hardcut.schemas.settings import JudgmentSettings

_MARGIN_LIMIT = 30
_WORD = 12
"""Letters of a word that a bar has room for."""
_NAME = 20
"""Letters of a feature that a bar has room for."""
_RANKS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 1000), (1001, 10**9))


def write_plots(dataset: Dataset, folder: Path, judgments: JudgmentSettings) -> list[str]:
    """Writes the plots that there is something to show in; their names, relative to the folder's parent."""
    margins: dict[str, Counter[int]] = {"not relevant": Counter(), "relevant": Counter()}
    for _, row in dataset.rows("pairs", ("label", "logit_margin")):
        if row["logit_margin"] is not None:
            place = round(max(-_MARGIN_LIMIT, min(_MARGIN_LIMIT, row["logit_margin"])))
            margins["relevant" if row["label"] > 0 else "not relevant"][place] += 1
    ranks: Counter[int] = Counter()
    for _, row in dataset.rows("queries", ("difficulty",)):
        rank = row["difficulty"]["positive_rank"]
        if rank is not None:
            ranks[next(place for place, (low, high) in enumerate(_RANKS) if low <= rank <= high)] += 1
    folder.mkdir()
    written = []
    seen = [place for counts in margins.values() for place in counts]
    if seen:
        marks = {
            "a no is trusted up to here": judgments.trusted_below,
            "a mined yes is suspected from here": judgments.suspected_above,
        }
        low, high = round(min(*seen, *marks.values())) - 1, round(max(*seen, *marks.values())) + 1
        labels = [str(place) for place in range(low, high + 1)]
        shifted = {name: Counter({place - low: n for place, n in counts.items()}) for name, counts in margins.items()}
        title = "Pairs by the teacher's margin, log p(yes) - log p(no)"
        lines = {name: at - low + 0.5 for name, at in marks.items()}
        write_bars(folder / "margins.png", title, labels, shifted, every=5, first=-low % 5, lines=lines, stacked=True)
        written.append(f"{folder.name}/margins.png")
    if ranks:
        labels = [
            str(low) if low == high else f"{low}-{high}" if high < 10**9 else f">{low - 1}" for low, high in _RANKS
        ]
        write_bars(
            folder / "first_stage.png",
            "Queries by the first stage's rank of their positive",
            labels,
            {"queries": ranks},
        )
        written.append(f"{folder.name}/first_stage.png")
    leaning = leaning_words(_sides(dataset)) if "diagnostic" in dataset.configs else []
    if leaning:
        counts = {
            "answered": Counter({place: one for place, (_, one, _) in enumerate(leaning) if one}),
            "unanswered": Counter({place: other for place, (_, _, other) in enumerate(leaning) if other}),
        }
        title = "Blocks in which only one side has a word, for the words that lean most to a side"
        write_bars(folder / "leaning_words.png", title, [word[:_WORD] for word, *_ in leaning], counts)
        written.append(f"{folder.name}/leaning_words.png")
    looks = Looks.read(dataset)
    leaning_looks = leaning_features(looks.comparisons[ALL], looks.features) if not looks.lost else []
    if leaning_looks:
        count = len(looks.comparisons[ALL])
        more = {place: round(share * count) for place, (_, share) in enumerate(leaning_looks)}
        sides = {
            "the answer": Counter(more),
            "the other": Counter({place: count - number for place, number in more.items()}),
        }
        title = (
            "Comparisons by which video has more of it, the answer or the other (a tie is half), for what leans most"
        )
        write_bars(folder / "leaning_looks.png", title, [name[:_NAME] for name, _ in leaning_looks], sides)
        written.append(f"{folder.name}/leaning_looks.png")
    return written


def _sides(dataset: Dataset) -> list[Sides]:
    return [
        Sides(row["block_id"], row["answered"]["query"], row["unanswered"]["query"], row["video_id"])
        for _, row in dataset.rows("diagnostic", ("block_id", "answered", "unanswered", "video_id"))
    ]


def write_margins(path: Path, margins: Mapping[str, Sequence[float]], marks: Mapping[str, float]) -> None:
    """A plot of margins by how query and video met, each kind as a share of its own pairs, with thresholds marked."""
    known = [margin for found in margins.values() for margin in found] + list(marks.values())
    limit = _MARGIN_LIMIT
    low, high = (round(max(-limit, min(limit, edge(known)))) for edge in (min, max))
    shares: dict[str, Counter[int]] = {}
    for name, found in margins.items():
        if found:
            counts = Counter(round(max(low, min(high, margin))) - low for margin in found)
            shares[name] = Counter({place: round(1000 * n / len(found)) for place, n in counts.items()})
    labels = [str(place) for place in range(low, high + 1)]
    title = "Margins, log p(yes) - log p(no), in thousandths of the pairs of each kind"
    lines = {name: at - low + 0.5 for name, at in marks.items()}
    write_bars(path, title, labels, shares, every=5, first=-low % 5, lines=lines)
