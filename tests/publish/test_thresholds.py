"""a1 and a2 chosen from margins, and a noisy world: what gets into training groups through the real stages."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any, TypeVar

import pytest

from hardcut.cli.thresholds import PLOT, thresholds
from hardcut.publish.groups import training_groups
from hardcut.publish.judgments import JudgmentStage, negative_kind
from hardcut.publish.thresholds import Margins, choose, lower, margins_of, upper
from hardcut.schemas.base import Record
from hardcut.schemas.config import format_settings
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Pair, TeacherLabel
from hardcut.schemas.settings import FilterSettings, JudgmentSettings, NegativeSettings, Settings
from hardcut.synth.negatives import NegativeStage

pytest.importorskip("bm25s", reason='needs pip install "hardcut[eval]"')

R = TypeVar("R", bound=Record)
SPREAD = 4.0
TRUE, FALSE = (NormalDist(sign * 1.2815515655 * SPREAD, SPREAD) for sign in (1, -1))
"""Margins of true and false pairs: at threshold 0 the true-positive rate is 90 %, the false-positive rate 10 %."""
QUERIES = 700
HIDDEN = 0.1
"""Of the mined pairs, those that in truth are relevant."""
COPIED = 0.05
"""Of the queries, those that copy the title of their video."""


class Records:
    """All records of a run in memory, sorted by id."""

    def __init__(self, *records: Record) -> None:
        self._of: dict[type[Record], dict[str, Record]] = {}
        self._about: dict[tuple[type[Record], str], list[Any]] = {}
        for record in sorted(records, key=lambda record: record.id):
            self._of.setdefault(type(record), {})[record.id] = record
            self._about.setdefault((type(record), record.about), []).append(record)

    def all(self, kind: type[R]) -> Iterator[R]:
        return iter(self._of.get(kind, {}).values())  # type: ignore[arg-type]

    def get(self, kind: type[R], id: str) -> R | None:
        return self._of.get(kind, {}).get(id)  # type: ignore[return-value]

    def about(self, kind: type[R], subject: str) -> list[R]:
        return self._about.get((kind, subject), [])


def test_the_rates_of_the_test_are_those_of_the_issue() -> None:
    assert 1 - TRUE.cdf(0) == pytest.approx(0.9) and 1 - FALSE.cdf(0) == pytest.approx(0.1)


def test_bounds_hold_the_rate_as_often_as_they_say() -> None:
    """Of many samples of a coin; and at no success the bound is -ln(delta) / n (Hoeffding)."""
    rng = random.Random(5)
    for rate in (0.005, 0.05, 0.4):
        counts = [sum(rng.random() < rate for _ in range(200)) for _ in range(400)]
        assert sum(upper(count, 200, 0.05) < rate for count in counts) <= 0.05 * len(counts)
        assert sum(lower(count, 200, 0.05) > rate for count in counts) <= 0.05 * len(counts)
    assert upper(0, 200, 0.05) == pytest.approx(1 - 0.05 ** (1 / 200), abs=1e-6) and upper(200, 200, 0.05) == 1


def test_hidden_positives_are_bounded_and_the_bound_is_not_vain() -> None:
    for share in (0.0, 0.05, 0.2):
        for seed in range(5):
            rng = random.Random(seed)
            source = sorted(rng.gauss(TRUE.mean, SPREAD) for _ in range(1000))
            mined = sorted(rng.gauss((TRUE if rng.random() < share else FALSE).mean, SPREAD) for _ in range(8000))
            assert share <= choose(Margins(source, mined)).positives <= share + 0.1


def test_too_few_pairs_are_told_and_too_unsure_ones_give_no_threshold() -> None:
    with pytest.raises(UsageError, match="20 source and 100 mined pairs have a margin, 30 of each are needed"):
        choose(Margins([1.0] * 20, [-1.0] * 100))
    mixed = [float(step) for step in range(-20, 20)]
    assert choose(Margins(mixed, mixed)).suspected_above is None


class World:
    """A noisy world: queries of which some copy a title, mined pairs of which some are relevant, margins drawn."""

    def __init__(self, make: Any, seed: int) -> None:
        rng = random.Random(seed)
        words = [f"{a}{b}{c}" for a in ("tra", "mel", "kor", "bis", "fun") for b in "aeiou" for c in ("nt", "sk", "rd")]
        self.records: list[Record] = []
        self.copies: set[str] = set()
        for number in range(QUERIES):
            told = rng.sample(words, 6)
            title = f"{told[0]} of the {told[1]} {number}"
            video = make.video(f"v{number:03}", title=title)
            copies = rng.random() < COPIED
            asked = rng.choice([title, f"A clip: {title.upper()}!"]) if copies else " ".join(rng.sample(told, 4))
            query = make.query(f"{asked}", video.video_id, facets=())
            self.records += [video, make.caption(video.video_id, " ".join(told)), query]
            if copies:
                self.copies.add(query.query_id)
        self.dropped: Counter[str] = Counter()
        self.caught: set[str] = set()
        pairs: list[Pair] = []
        stage = NegativeStage(NegativeSettings(per_query=8, max_ratio=50), FilterSettings())
        for unit, output in stage.run(Records(*self.records)):
            if output.drop is not None:
                self.dropped[output.drop.reason] += 1
                self.caught |= {unit} if output.drop.reason == "leak" else set()
            pairs += [pair for pair in output.records if isinstance(pair, Pair)]
        self.pairs = pairs
        self.truth = {pair.pair_id: pair.expected == "yes" or rng.random() < HIDDEN for pair in pairs}
        self.labels: dict[str, list[TeacherLabel]] = {}
        for pair in pairs:
            drawn = rng.gauss((TRUE if self.truth[pair.pair_id] else FALSE).mean, SPREAD)
            self.labels[pair.pair_id] = [make.label(pair, "yes" if drawn > 0 else "no", round(drawn, 4))]

    def judged(self, settings: JudgmentSettings) -> tuple[dict[str, Judgment], dict[str, str]]:
        """Judgments and reasons by pair, as the real stage gives them."""
        stage = JudgmentStage(settings, FilterSettings())
        everything = Records(*self.records, *self.pairs, *(label for found in self.labels.values() for label in found))
        judgments, reasons = {}, {}
        for pair_id, output in stage.run(everything):
            if output.drop is not None:
                reasons[pair_id] = output.drop.reason
            judgments |= {record.id: record for record in output.records if isinstance(record, Judgment)}
        return judgments, reasons

    def groups(self, judgments: dict[str, Judgment], settings: JudgmentSettings) -> Iterator[tuple[str, list[str]]]:
        """(positive, negatives) of every training group, as ids of pairs."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for pair in self.pairs:
            judgment = judgments.get(pair.pair_id)
            if judgment is not None:
                labels = self.labels[pair.pair_id]
                rows.setdefault(pair.query_id, []).append(
                    {
                        "pair_id": pair.pair_id,
                        "origins": list(pair.origins),
                        "label": judgment.grade,
                        "negative": negative_kind(judgment, labels, settings),
                        "logit_margin": labels[0].logit_margin,
                        "first_stage": [found.model_dump() for found in pair.first_stage],
                    }
                )
        for query_id in sorted(rows):
            for _, positive, negatives in training_groups(rows[query_id], ExportSettings()):
                yield positive["pair_id"], [row["pair_id"] for row in negatives]


_WORLDS: dict[int, World] = {}


@pytest.fixture
def world_of(make: Any) -> Callable[[int], World]:
    """The noisy world of a seed, made once."""
    return lambda seed: _WORLDS.setdefault(seed, World(make, seed)) if seed not in _WORLDS else _WORLDS[seed]


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_world(world_of: Callable[[int], World], seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    world = world_of(seed)
    chosen = choose(margins_of(world.pairs, world.labels))
    assert chosen.trusted_below is not None and chosen.suspected_above is not None
    settings = JudgmentSettings(trusted_below=chosen.trusted_below, suspected_above=chosen.suspected_above)
    judgments, reasons = world.judged(settings)
    mined = [pair.pair_id for pair in world.pairs if pair.expected == "no"]
    hidden = {pair_id for pair_id in mined if world.truth[pair_id]}
    table: Counter[tuple[str, bool]] = Counter()
    for pair_id in mined:
        kept = judgments.get(pair_id)
        name = negative_kind(kept, world.labels[pair_id], settings) if kept else reasons[pair_id]
        table[name, pair_id in hidden] += 1
    grouped = [pair_id for _, negatives in world.groups(judgments, settings) for pair_id in negatives]
    unique = set(grouped)
    kept_true = sum(pair_id in judgments for pair_id in mined if pair_id not in hidden)
    caught = sum(reasons.get(pair_id) == "suspected_positive" for pair_id in hidden)
    with capsys.disabled():
        print(
            f"\nseed {seed}: a1 = {settings.trusted_below}, a2 = {settings.suspected_above}, {len(mined)} mined pairs"
        )
        print(f"  {'':20} {'negative':>9} {'relevant':>9}")
        for name in sorted({name for name, _ in table}):
            print(f"  {name:20} {table[name, False]:9} {table[name, True]:9}")
        wrong = len(unique & hidden)
        print(f"  in training groups: {len(unique)} negatives, of them {wrong} relevant ({wrong / len(unique):.2%})")
        print(f"  kept of true negatives {kept_true / (len(mined) - len(hidden)):.1%},", end=" ")
        print(f"suspected of relevant {caught / len(hidden):.1%};", end=" ")
        print(f"copied titles {len(world.copies)}, caught {len(world.copies & world.caught)}")
    assert sum(pair_id in hidden for pair_id in grouped) < 0.01 * len(grouped)
    assert len(unique & hidden) < 0.01 * len(unique)
    assert kept_true >= 0.5 * (len(mined) - len(hidden))
    assert caught >= 0.8 * len(hidden)
    assert all(judgments[pair_id].grade == 0 for pair_id in mined if pair_id in judgments), "no guess becomes a label"
    assert world.copies and world.caught == world.copies, "all copies of a title are caught, and nothing else is"


def test_the_shipped_defaults_would_let_more_through(world_of: Callable[[int], World]) -> None:
    """The paper's own thresholds know nothing of this teacher's scale: a check that the test can fail."""
    world = world_of(1)
    settings = JudgmentSettings()
    judgments, _ = world.judged(settings)
    grouped = [pair_id for _, negatives in world.groups(judgments, settings) for pair_id in negatives]
    assert sum(world.truth[pair_id] for pair_id in grouped) > 0.01 * len(grouped)


def test_the_command_says_what_to_set(
    world_of: Callable[[int], World], write_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = world_of(2)
    labels = [label for found in world.labels.values() for label in found]
    run = write_run(tmp_path / "run", [*world.records, *world.pairs, *labels])
    (run / "run.toml").write_text(format_settings(Settings()))
    assert thresholds(run, 0.01, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    chosen = choose(margins_of(world.pairs, world.labels))
    assert (told["trusted_below"], told["suspected_above"]) == (chosen.trusted_below, chosen.suspected_above)
    assert told["pairs"]["mined"] == sum(pair.expected == "no" for pair in world.pairs)
    assert told["in_force"] == {"trusted_below": -6.0, "suspected_above": 8.0}
    assert (run / PLOT).read_bytes()[:4] == b"\x89PNG"
    assert thresholds(run, 0.01, as_json=False) == 0
    text = capsys.readouterr().out
    assert f"suspected_above = {chosen.suspected_above}" in text and "mined (" in text
    assert thresholds(run, 0.0001, as_json=False) == 1 and "no threshold keeps" in capsys.readouterr().out


def test_every_kind_of_record_is_read_once(make: Any) -> None:
    """Margins of text-only labels, of labels that disagree and of pairs nobody expected anything of do not count."""
    query = make.query("a ball rolls left", "v1")
    pairs = [make.pair(query, f"v{place}") for place in range(1, 5)]
    labels = {
        pairs[0].pair_id: [make.label(pairs[0], "yes", 5.0), make.label(pairs[0], "yes", 9.0, input="text_only")],
        pairs[1].pair_id: [make.label(pairs[1], "no", -5.0), make.label(pairs[1], "yes", 1.0, sample=1)],
        pairs[2].pair_id: [make.label(pairs[2], "no", -7.0)],
    }
    user = make.pair(make.query("asked by a user"), "v2")
    labels[user.pair_id] = [make.label(user, "yes", 3.0)]
    assert margins_of([*pairs, user], labels) == Margins([5.0], [-7.0], [])
