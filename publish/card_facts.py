"""What an export counts for the card while the records pass by."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hardcut.publish.rows import teacher_name
from hardcut.report.coverage import Coverage
from hardcut.schemas.flags import NOTHING_FLAGGED, Flagged, Withheld
from hardcut.schemas.records import TeacherRef, Video


@dataclass(frozen=True, slots=True, order=True)
class TeacherUse:
    """A teacher that made some of the records."""

    name: str
    revision: str
    made: str
    prompt_digest: str


@dataclass(slots=True)
class KindFacts:
    """Of the queries of one kind: how many there are by split, their judged pairs, and those that a teacher judged and
    somebody else too, `agreed` where both say the same."""

    queries: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    relevant: int = 0
    compared: int = 0
    agreed: int = 0


@dataclass(slots=True)
class CardFacts:
    """What the export counts as the records pass by."""

    seconds: float = 0.0
    lengths_s: array[float] = field(default_factory=lambda: array("f"))
    """Of every video."""
    coverage: Coverage = field(default_factory=Coverage)
    meaning: str | None = None
    """By whose vectors splits keep queries together that mean the same, where some are given."""
    licences: Counter[str] = field(default_factory=Counter)
    grouped: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """By split: queries that make no training group, and those that do."""
    views: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, KindFacts] = field(default_factory=dict)
    languages: Counter[str] = field(default_factory=Counter)
    sources: dict[str, list[int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    flags: Flagged = NOTHING_FLAGGED
    """What reviewers' flags keep out; `withheld` are all pairs of it, with the reason."""
    withheld: dict[str, Withheld] = field(default_factory=dict)
    unpacked: Counter[str] = field(default_factory=Counter)
    """Clips that were not packed, by reason."""
    comparisons: int = 0
    """Answers of people to which of two videos answers better."""
    labelled: int = 0
    exact: int = 0
    seen_teachers: set[TeacherUse] = field(default_factory=set)

    def video(self, video: Video, licence: str | None) -> None:
        """Counts a video."""
        self.seconds += video.duration_s
        self.lengths_s.append(video.duration_s)
        self.coverage.add(video)
        self.licences[licence or "not given"] += 1

    def query(self, row: Mapping[str, Any], split: str) -> None:
        """Counts a row of `queries`."""
        self.views[row["view"]] += 1
        self.languages[row["language"]] += 1
        self.by_kind.setdefault(row["kind"], KindFacts()).queries[split] += 1

    def pair(self, row: Mapping[str, Any], kind: str) -> None:
        """Counts a row of `pairs`, of a query of that kind."""
        relevant, of_kind = row["label"] > 0, self.by_kind.setdefault(kind, KindFacts())
        self.sources.setdefault(row["label_source"], [0, 0])[int(relevant)] += 1
        of_kind.pairs += 1
        of_kind.relevant += relevant
        if row["logit_margin"] is not None and row["label_source"] != "teacher":
            of_kind.compared += 1
            of_kind.agreed += (row["logit_margin"] > 0) == relevant
        if row["exact"] is not None:
            self.labelled += 1
            self.exact += row["exact"]

    @property
    def compared(self) -> int:
        """Pairs that somebody else judged and a teacher too."""
        return sum(each.compared for each in self.by_kind.values())

    @property
    def agreed(self) -> int:
        """Those of them of which both say the same."""
        return sum(each.agreed for each in self.by_kind.values())

    def longer_than(self, seconds: float) -> int:
        """How many videos are longer, by more than what rounding makes of a length."""
        return sum(length > seconds + 0.01 for length in self.lengths_s)

    def teacher(self, teacher: TeacherRef | None, made: str) -> None:
        """Notes who made something."""
        if teacher is not None:
            name = teacher_name(teacher) or ""
            self.seen_teachers.add(TeacherUse(name, teacher.revision or "", made, teacher.prompt_digest or ""))

    @property
    def teachers(self) -> list[TeacherUse]:
        """Every teacher, sorted."""
        return sorted(self.seen_teachers)

    @property
    def evidence_only(self) -> bool:
        """Whether no label comes from a model."""
        names = [teacher.name for teacher in self.seen_teachers if teacher.made == "labels"]
        return bool(names) and all(name.split(":")[0] == "evidence" for name in names)
