"""Mutations: what a guard looks at is taken away, in part or as a whole. It then says that it could not look.

The tests go through the registries (`publish/gate.py`, `schemas/guards.py`): a check or guard that is added there is
tested here without a line.
"""

from __future__ import annotations

import base64
import io
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hardcut.publish.allowances import items_to_allow
from hardcut.publish.checks.check import Check, DatasetView
from hardcut.publish.columns import ADDED, COLUMNS, Nullable
from hardcut.publish.dataset import Dataset, digests
from hardcut.publish.export_dataset import export, write_marker
from hardcut.publish.gate import CHECKS, check, stopped
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Signature
from hardcut.schemas.guards import FILTERS, GUARDS, Guard, Unchecked, could_not_look
from hardcut.schemas.records import Evidence, Pair, TeacherLabel
from hardcut.schemas.settings import (
    ExportSettings,
    FilterSettings,
    JudgmentSettings,
    NegativeSettings,
    Settings,
)
from hardcut.synth.duplicates import DuplicateStage
from hardcut.synth.negatives import NegativeStage

SETTINGS = Settings(
    export=ExportSettings(
        name="clean", licence="cc0-1.0", train=0.6, validation=0.2, near_text=1.0, group_by=("event",)
    ),
    filters=FilterSettings(unsafe=("rude",)),
)
CONFIGS = [(name, config) for name, one in CHECKS.items() for config in one.reads]
COLUMNS_READ = [(name, config, column) for name, config in CONFIGS for column in CHECKS[name].reads[config]]
MARKERS = [(name, key) for name, one in CHECKS.items() for key in one.marker]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, made: Any) -> Path:
    """A dataset of which every check has something to look at. What they find there does not matter."""
    records: list[Record] = []
    for place in range(60):
        video_id = f"v{place:02}"
        records.append(made.video(video_id, title=f"clip {place}", event=f"event {place}", licence="cc0-1.0"))
        records.append(made.signature(video_id))
        records.append(made.caption(video_id, f"Number {place} turns."))
        query = made.query(f"the {place} turns {place % 7} times", video_id)
        variant = made.query(
            f"the {place} turns {place * 5 % 7} times",
            video_id,
            variant="facet_changed",
            kind="event",
            parent_query_id=query.query_id,
        )
        records += [query, variant]
        for step in range(6):
            pair = made.pair(query, f"v{(place + 11 * step) % 60:02}")
            label = exact(made, pair, "no" if step else "yes", -8.0 - place % 5 if step else 6.0)
            blind = made.label(pair, "yes" if (place + step) % 3 else "no", 0.0, input="text_only")
            records += [pair, label, blind, made.judgment(pair, int(not step), label)]
        pair = made.pair(variant, video_id, expected="no")
        label = exact(made, pair, "no", -7.5)
        records += [pair, label, made.judgment(pair, 0, label)]
        records += made.triplets(query, variant) if place % 7 else []  # else they say the same
    folder = tmp_path_factory.mktemp("whole")
    run = made.write_run(folder / "run", records)
    out = export(run, folder / "dataset", SETTINGS).out
    (out / "data" / "media").mkdir()
    row = next(row for _, row in Dataset(out).rows("corpus"))
    clip = {**{name: row[name] for name in ("video_id", "sha256", "licence", "duration_s")}, "video": {"bytes": b"x"}}
    pq.write_table(pa.Table.from_pylist([clip]), out / "data" / "media" / "train-00000-of-00001.parquet")
    marker = dict(Dataset(out).marker)
    marker["rows"]["media"] = {"train": 1}
    write_marker(out, marker, digests(out))
    return out


@pytest.fixture(scope="module")
def made() -> Any:
    """The helpers of conftest.py, for fixtures of a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("publish_helpers", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    helpers = module.Make()
    helpers.write_run = module.written
    return helpers


def exact(made: Any, pair: Pair, verdict: str, margin: float) -> TeacherLabel:
    label: TeacherLabel = made.label(pair, verdict, margin, exact=True, logprob_yes=-1.0, logprob_no=-1.0)
    return label


def mutant(whole: Path, out: Path, config: str, change: Callable[[pa.Table], pa.Table | None], told: bool) -> Dataset:
    """A dataset with another table in place of each of a config's. `told`: the marker says so too, as if it had been
    exported like that."""
    out.mkdir()
    (out / "data").mkdir()
    for path in whole.iterdir():
        if path.name not in ("data", "hardcut.json"):
            (out / path.name).symlink_to(path)
    for path in (whole / "data").iterdir():
        if path.name != config:
            (out / "data" / path.name).symlink_to(path)
    marker = json.loads((whole / "hardcut.json").read_text())
    (out / "data" / config).mkdir()
    for path in (whole / "data" / config).iterdir():
        table = change(pq.read_table(path))
        split = path.name.split("-")[0]
        if table is not None:
            pq.write_table(table, out / "data" / config / path.name)
        if told and config in marker["rows"]:
            marker["rows"][config][split] = 0 if table is None else table.num_rows
    del marker["files"]
    write_marker(out, marker)
    write_marker(out, marker, digests(out) if told else json.loads((whole / "hardcut.json").read_text())["files"])
    return Dataset(out)


def nulled(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(column)
        return table.set_column(table.schema.get_field_index(column), field, pa.nulls(len(table), field.type))

    return change


def test_a_whole_set_leaves_no_check_without_an_answer(whole: Path) -> None:
    results = {result.name: result for result in check(Dataset(whole), SETTINGS)}
    assert [result for result in results.values() if result.state == "unknown"] == []
    assert results["unsafe"].state == "passed", "its list is not empty"


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_a_config_that_was_taken_away(whole: Path, tmp_path: Path, name: str, config: str) -> None:
    taken = mutant(whole, tmp_path / "taken", config, lambda table: None, told=False)
    result = CHECKS[name](taken, SETTINGS)
    assert result.state == "unknown" and f"data/{config}" in result.message, result


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_a_config_without_a_row(whole: Path, tmp_path: Path, name: str, config: str) -> None:
    """As if it had been exported so. Whatever the check makes of the rest, it does not pass where it needs the rows."""
    if config in CHECKS[name].may_be_empty:
        return
    empty = mutant(whole, tmp_path / "empty", config, lambda table: table.slice(0, 0), told=True)
    result = CHECKS[name](empty, SETTINGS)
    assert result.state in ("unknown", "failed"), result
    if len(CHECKS[name].reads) == 1:
        assert result.state == "unknown", result


@pytest.mark.parametrize(("name", "config", "column"), COLUMNS_READ)
def test_a_column_that_was_taken_away(whole: Path, tmp_path: Path, name: str, config: str, column: str) -> None:
    taken = mutant(whole, tmp_path / "taken", config, lambda table: table.drop_columns([column]), told=True)
    result = CHECKS[name](taken, SETTINGS)
    if column in ADDED.get(config, ()):
        assert result.state == "unknown" and items_to_allow(result), "datasets of earlier versions have none"
        return
    assert result.state == "unknown" and result.cause == "damaged", result
    assert f"data/{config}/" in result.message and f"'{column}'" in result.message


@pytest.mark.parametrize(("name", "config", "column"), COLUMNS_READ)
def test_a_column_without_a_value(whole: Path, tmp_path: Path, name: str, config: str, column: str) -> None:
    kind = COLUMNS[config][column]
    if isinstance(kind, Nullable) or (isinstance(kind, str) and kind.endswith("?")):
        return  # it may be empty; what a check makes of it is its own test
    empty = mutant(whole, tmp_path / "empty", config, nulled(column), told=True)
    result = CHECKS[name](empty, SETTINGS)
    assert result.state == "unknown" and result.cause == "damaged", result
    assert f"data/{config}/" in result.message and f"'{column}'" in result.message


@pytest.mark.parametrize("name", ["query_prior", "video_prior", "degenerate"])
def test_margins_that_are_no_numbers_or_are_not_there(whole: Path, tmp_path: Path, name: str) -> None:
    def broken(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("logit_margin")
        values = pa.array([math.nan, *table["logit_margin"].to_pylist()[1:]], from_pandas=False)
        return table.set_column(at, "logit_margin", values)

    result = CHECKS[name](mutant(whole, tmp_path / "nan", "pairs", broken, told=True), SETTINGS)
    assert result.state == "unknown" and "'logit_margin' has a number that is not finite" in result.message
    result = CHECKS[name](mutant(whole, tmp_path / "none", "pairs", nulled("logit_margin"), told=True), SETTINGS)
    assert result.state == "unknown" and result.cause == "", result


def test_answers_by_metadata_alone_that_are_not_there(whole: Path, tmp_path: Path) -> None:
    empty = mutant(whole, tmp_path / "empty", "pairs", nulled("text_only"), told=True)
    result = CHECKS["text_only"](empty, SETTINGS)
    assert result.state == "unknown" and "of which a teacher told by metadata alone" in result.message


@pytest.mark.parametrize("name", ["query_prior", "video_prior", "text_only"])
def test_too_few_rows_to_tell(whole: Path, tmp_path: Path, name: str) -> None:
    few = mutant(whole, tmp_path / "few", "pairs", lambda table: table.slice(0, 24), told=True)
    result = CHECKS[name](few, SETTINGS)
    assert result.state == "unknown" and "0.15 may be" in result.message, result


def test_no_video_names_an_event(whole: Path, tmp_path: Path) -> None:
    def unnamed(table: pa.Table) -> pa.Table:
        rows = [{**row, "metadata": []} for row in table.to_pylist()]
        return pa.Table.from_pylist(rows, schema=table.schema)

    dataset = mutant(whole, tmp_path / "unnamed", "corpus", unnamed, told=True)
    assert CHECKS["event_leakage"](dataset, SETTINGS).state == "unknown"
    none = SETTINGS.model_copy(update={"export": SETTINGS.export.model_copy(update={"group_by": ()})})
    assert CHECKS["event_leakage"](dataset, none).state == "passed", "whoever says that there are none is believed"


def test_without_the_list_of_what_was_left_out(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "set")
    (tmp_path / "set" / "left_out.jsonl").unlink()
    assert CHECKS["media"](Dataset(tmp_path / "set"), SETTINGS).state == "unknown"


@pytest.mark.parametrize(("name", "key"), MARKERS)
def test_a_part_of_the_marker_that_was_taken_away(whole: Path, tmp_path: Path, name: str, key: str) -> None:
    shutil.copytree(whole, tmp_path / "set")
    marker = json.loads((tmp_path / "set" / "hardcut.json").read_text())
    del marker[key]
    (tmp_path / "set" / "hardcut.json").write_text(json.dumps(marker))
    result = CHECKS[name](Dataset(tmp_path / "set"), SETTINGS)
    assert result.state == ("failed" if key == "settings" else "unknown"), result


GUARDED = [*FILTERS, "near_duplicate_leakage"]


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(missing=1, items=["x: y"]), "could not be looked at"),
        (lambda told: told.update(few=told["asked"], items=["x: y"]), "too little"),
        (lambda told: told.clear(), "are altered"),
        (lambda told: told.update(missing="none"), "are altered"),
        (lambda told: told.update(missing=-1), "are altered"),
        (lambda told: told.update(on=None), "are altered"),
    ],
)
def test_what_a_guard_of_the_run_could_not_look_at(
    whole: Path, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    shutil.copytree(whole, tmp_path / "set")
    marker = json.loads((tmp_path / "set" / "hardcut.json").read_text())
    change(marker["guards"]["near_duplicates" if name == "near_duplicate_leakage" else name])
    (tmp_path / "set" / "hardcut.json").write_text(json.dumps(marker))
    result = CHECKS[name](Dataset(tmp_path / "set"), SETTINGS)
    if name == "near_duplicate_leakage" and words == "too little":
        return  # a video has a signature or none
    assert result.state == "unknown" and words in result.message, result


def test_a_check_reads_what_it_says_and_nothing_else(whole: Path) -> None:
    view = DatasetView(whole, {"corpus": ("video_id",)})
    assert len(list(view.rows("corpus", ("video_id",)))) == view.seen["corpus"] == 60
    for config, columns in (("pairs", ("pair_id",)), ("corpus", ("sha256",)), ("corpus", None)):
        with pytest.raises(ValueError, match="does not say that it reads"):
            next(view.rows(config, columns))
    assert all(isinstance(one, Check) and one.looks_for for one in CHECKS.values())


# The guards of a run, each through the stage that asks it.


class Records:
    """Records in memory, sorted by id."""

    def __init__(self, *records: Record) -> None:
        self._records = sorted(records, key=lambda record: record.id)

    def all(self, kind: type[Any]) -> Iterator[Any]:
        return (record for record in self._records if isinstance(record, kind))

    def get(self, kind: type[Any], id: str) -> Any:
        return next((record for record in self.all(kind) if record.id == id), None)

    def about(self, kind: type[Any], subject: str) -> list[Any]:
        return [record for record in self.all(kind) if record.about == subject]


FILTERS_ON = FilterSettings(unsafe=("rude",), max_answers=2)
STAGES: dict[str, Callable[[], Any]] = {
    "near_duplicates": DuplicateStage,
    **dict.fromkeys(
        ("leak", "duplicate", "ungrounded", "unsafe", "positive_below_depth", "negative_outscores_positive"),
        lambda: NegativeStage(NegativeSettings(per_query=4), FILTERS_ON),
    ),
    **dict.fromkeys(
        ("misjudged_source", "unspecific", "without_watching"),
        lambda: JudgmentStage(JudgmentSettings(), FILTERS_ON),
    ),
}
"""The stage that asks each guard. A guard that is new needs its line here, or its test fails."""


def scene(make: Any) -> list[Record]:
    """Six videos with all that a run makes of them, and one query of the first."""
    records: list[Record] = []
    for place in range(6):
        video_id = f"v{place}"
        records += [make.video(video_id, title=f"reel {place}"), make.caption(video_id, f"The lamp {place} swings.")]
        records.append(
            Signature(video_id=video_id, times=(0.0,), hashes=(f"{7 ** (place + 12):016x}",), sheet=sheet(place))
        )
        for kind, text in (("ocr", f"LAMP {place}"), ("metadata", f"reel {place}")):
            made = Evidence.create(video_id=video_id, kind=kind, text=text, extractor="test")
            records.append(made)
    query = make.query("lamp 0 swings", "v0", facets=[{"text": "lamp 0", "modality": "ocr"}])
    records.append(query)
    for place in range(6):
        pair = make.pair(query, f"v{place}")
        records += [pair, exact(make, pair, "no" if place else "yes", -8.0 if place else 6.0)]
        records.append(make.label(pair, "yes" if place in (0, 4) else "no", 0.0, input="text_only"))
    return records


def sheet(seed: int) -> str:
    """A sheet of one thumbnail, of noise: those of two videos are alike in nothing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 8 * 48, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def outcome(stage: Any, records: list[Record], guard: Guard) -> tuple[bool, list[Unchecked]]:
    """Whether the first query (or the first video) is still part of the run, and what the guard could not look at."""
    outputs = dict(stage.run(Records(*records)))
    found = [record for output in outputs.values() for record in output.records]
    unchecked = [record for record in found if isinstance(record, Unchecked) and record.guard == guard.name]
    stays = any(not isinstance(record, Unchecked) for record in found) if guard.items == "queries" else "v0" in outputs
    return stays, unchecked


def without(kind: str, only: Callable[[Any], bool] = lambda record: True) -> Callable[[Any], Record | None]:
    return lambda record: None if type(record).__name__ == kind and only(record) else record


def unread(only: Callable[[Any], bool]) -> Callable[[Any], Record | None]:
    def change(record: Any) -> Record | None:
        if isinstance(record, TeacherLabel) and only(record):
            return record.model_copy(
                update={"verdict": "unparsed", "logit_margin": None, "p_yes": None, "exact": False}
            )
        return record

    return change


MUTATIONS: dict[str, Callable[[Any], Record | None]] = {
    "no Signature": without("Signature"),
    "no Signature of one": without("Signature", lambda record: record.video_id == "v0"),
    "no Video of one": without("Video", lambda record: record.video_id == "v0"),
    "no Caption": without("Caption"),
    "no Caption of one": without("Caption", lambda record: record.video_id == "v0"),
    "no Evidence": without("Evidence"),
    "no Evidence of one": without("Evidence", lambda record: record.video_id == "v0"),
    "no TeacherLabel": without("TeacherLabel"),
    "no TeacherLabel by metadata": without("TeacherLabel", lambda record: record.input == "text_only"),
    "no TeacherLabel of candidates": without("TeacherLabel", lambda record: record.video_id != "v0"),
    "no TeacherLabel read": unread(lambda record: True),
    "no TeacherLabel by metadata read": unread(lambda record: record.input == "text_only"),
    "no TeacherLabel of candidates read": unread(lambda record: record.video_id != "v0"),
    "no Query with a word": lambda record: (
        record.model_copy(update={"text": "???"}) if type(record).__name__ == "Query" else record
    ),
}
"""What becomes of each record; the second word is the kind that is meant."""
ASKED = [(guard.name, mutation) for guard in GUARDS for mutation in MUTATIONS if mutation.split()[1] in guard.reads]
ANSWERED = {
    ("unspecific", "no TeacherLabel by metadata"), ("unspecific", "no TeacherLabel by metadata read"),
    ("misjudged_source", "no TeacherLabel by metadata"), ("misjudged_source", "no TeacherLabel by metadata read"),
    ("misjudged_source", "no TeacherLabel of candidates"), ("misjudged_source", "no TeacherLabel of candidates read"),
    ("positive_below_depth", "no Caption"), ("positive_below_depth", "no Caption of one"),
    ("positive_below_depth", "no Evidence"), ("positive_below_depth", "no Evidence of one"),
    ("negative_outscores_positive", "no Caption"), ("negative_outscores_positive", "no Caption of one"),
    ("negative_outscores_positive", "no Evidence"), ("negative_outscores_positive", "no Evidence of one"),
    ("ungrounded", "no Caption"), ("ungrounded", "no Caption of one"),
}  # fmt: skip
"""What a guard has an answer without: it does not look at these records of the kind, or others stand in for them."""


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_that_can_look_has_nothing_to_tell(make: Any, guard: Guard) -> None:
    assert outcome(STAGES[guard.name](), scene(make), guard) == (True, [])
    assert {mutation.split()[1] for name, mutation in ASKED if name == guard.name} == set(guard.reads)


@pytest.mark.parametrize(("name", "mutation"), ASKED)
def test_a_guard_whose_records_are_gone_could_not_look(make: Any, name: str, mutation: str) -> None:
    """Or what it should have looked at is no part of the run any more."""
    guard = next(guard for guard in GUARDS if guard.name == name)
    records = [kept for record in scene(make) if (kept := MUTATIONS[mutation](record)) is not None]
    stays, unchecked = outcome(STAGES[name](), records, guard)
    if (name, mutation) in ANSWERED:
        assert not unchecked, "then its line in ANSWERED is wrong"
        return
    assert unchecked or not stays, f"{name} passes without {mutation.removeprefix('no ')}"
    assert all(record.detail for record in unchecked)


def test_the_case_signatures_failed_for_one_of_two_copies(
    make: Any, write_run: Callable[..., Path], tmp_path: Path
) -> None:
    """They part into train and validation, and no group says that they are one: the gate stops it and names it."""
    records: list[Record] = []
    for place in range(10):
        records += [make.video(f"v{place}", event=f"event {place}"), make.caption(f"v{place}")]
        query = make.query(f"query number {place} of its own", f"v{place}")
        pair = make.pair(query, f"v{place}")
        records += [query, pair, make.judgment(pair, 1)]
    answer = dict(DuplicateStage().run(Records(*(record for record in records if record.FILE == "videos.jsonl"))))
    records += answer["v3"].records
    dataset = Dataset(export(write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS).out)
    result = next(result for result in check(dataset, SETTINGS) if result.name == "near_duplicate_leakage")
    assert result.state == "unknown" and result in stopped([result])
    assert result.examples == ("v3: it has no signature: the stage `signatures` failed for it",)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| near\\_duplicate\\_leakage | **could not look** |" in card
    assert "- near\\_duplicate\\_leakage" in card and "v3\\: it has no signature" in card
    names = [f"{result.name}: v3 because it was looked at by eye"]
    [allowed] = [one for one in check(dataset, SETTINGS, names) if one.name == result.name]
    assert allowed.state == "allowed" and allowed.message == result.message, "an allowance hides nothing"


def test_filters_and_guards_say_the_same_of_counterfactuals() -> None:
    from hardcut.synth.filters.text_filters import TEXT_FILTERS

    guards = {guard.name: guard for guard in GUARDS}
    for each in TEXT_FILTERS:
        assert guards[each.name].counterfactuals == each.counterfactuals, each.name


def test_a_filter_that_was_added_and_could_not_look(
    make: Any, write_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hardcut.synth import negatives
    from hardcut.synth.filters.filter import Filter

    mute = Filter("mute", 1, lambda written: could_not_look("it is not looked up"))
    monkeypatch.setattr(negatives, "TEXT_FILTERS", (mute, *negatives.TEXT_FILTERS))
    stage = NegativeStage(NegativeSettings(per_query=4), FILTERS_ON)
    [(_, output)] = stage.run(Records(*scene(make)))
    [unchecked] = [record for record in output.records if isinstance(record, Unchecked)]
    assert (unchecked.guard, unchecked.detail) == ("mute", "it is not looked up") and len(output.records) > 1
    records = [*scene(make), unchecked]
    records += [make.judgment(pair, int(pair.expected == "yes")) for pair in records if isinstance(pair, Pair)]
    dataset = Dataset(export(write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS).out)
    result = CHECKS["added_filters"](dataset, SETTINGS)
    assert result.state == "unknown" and "mute" in result.message and unchecked.item in result.examples[0]


def test_a_run_of_a_version_that_noted_nothing(make: Any, write_run: Callable[..., Path], tmp_path: Path) -> None:
    records: list[Record] = []
    for place in range(10):
        query = make.query(f"query number {place} of its own", f"v{place}")
        pair = make.pair(query, f"v{place}")
        records += [make.video(f"v{place}"), query, pair, make.judgment(pair, 1)]
    run = write_run(tmp_path / "run", records)
    (run / Unchecked.FILE).unlink()
    dataset = Dataset(export(run, tmp_path / "out", SETTINGS).out)
    for name in GUARDED:
        result = CHECKS[name](dataset, SETTINGS)
        assert result.state == "unknown" and "start `hardcut run` once more and export it again" in result.message
