"""Every check of the gate: a planted fault that it catches, and a clean set that it passes."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hardcut.engine.vectors import VectorWriter, unit, write_note
from hardcut.publish.allowances import allowed, items_to_allow, read_allowances, with_allowances
from hardcut.publish.checks.content import luhn, personal
from hardcut.publish.checks.result import CheckResult, by_limit, could_not_look
from hardcut.publish.dataset import Dataset, digests
from hardcut.publish.export_dataset import export, write_marker
from hardcut.publish.gate import CHECKS, check, gate_settings, refuse_damaged, stopped
from hardcut.publish.licences import allows_redistribution
from hardcut.schemas.config import load_settings
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.guards import FILTERS
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import Settings

SETTINGS = Settings(export=ExportSettings(name="clean", licence="cc0-1.0", train=0.6, validation=0.2))
Row = dict[str, Any]
Edit = Callable[[str, list[Row]], list[Row]]
WORDS = [
    "amber",
    "bridge",
    "canal",
    "dance",
    "engine",
    "ferry",
    "garden",
    "harbour",
    "island",
    "jungle",
    "kettle",
    "ladder",
    "market",
    "night",
    "orchard",
]
TAILS = [
    "paper",
    "quarry",
    "river",
    "station",
    "tower",
    "umbrella",
    "valley",
    "window",
    "yard",
    "zebra",
    "autumn",
    "bell",
    "candle",
    "door",
    "echo",
    "forest",
]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 videos, two queries each, six candidates a query; nothing tells the label but the video itself."""
    make, folder = _make(), tmp_path_factory.mktemp("gate")
    rng, by_metadata = random.Random(3), random.Random(4)
    records: list[Any] = []
    videos = [f"v{i:03}" for i in range(120)]
    for place, video_id in enumerate(videos):
        title = " ".join(rng.sample(WORDS, 4))
        records.append(make.video(video_id, licence="cc0-1.0", title=title, event=f"event {place // 2}"))
        records.append(make.signature(video_id))
        records.append(make.caption(video_id, f"Caption {' '.join(rng.sample(TAILS, 6))}."))
        for number in range(2):
            query = make.query(" ".join(rng.sample(WORDS + TAILS, 9)), video_id, facets=())
            records.append(query)
            for step in range(6):
                pair = make.pair(query, videos[(place + step * (7 + 10 * number)) % 120])
                margin = round(rng.gauss(-8.0 if step else 6.0, 1.0), 3)
                given = {"exact": True, "logprob_yes": -1.0, "logprob_no": -1.0}
                label = make.label(pair, "no" if step else "yes", margin, **given)
                records += [pair, label, make.judgment(pair, int(not step), label)]
                records.append(make.label(pair, by_metadata.choice(("yes", "no")), 0.0, input="text_only"))
            said = query.text.split()
            said[number] = rng.choice(sorted({*WORDS, *TAILS} - set(said)))
            fields = {"variant": "facet_changed", "parent_query_id": query.query_id, "facets": ()}
            changed = make.query(" ".join(said), video_id, **fields)
            pair = make.pair(changed, video_id, expected="no")
            label = make.label(pair, "no", round(rng.gauss(-8.0, 1.0), 3), **given)
            records += [changed, pair, label, make.judgment(pair, 0, label), *make.triplets(query, changed)]
            records.append(make.label(pair, by_metadata.choice(("yes", "no")), 0.0, input="text_only"))
    from hardcut.schemas.catalogue import RECORDS
    from hardcut.schemas.jsonl import write_records

    run = folder / "run"
    run.mkdir()
    for kind in RECORDS:
        chosen = sorted((one for one in records if isinstance(one, kind)), key=lambda one: one.id)
        with (run / kind.FILE).open("w", encoding="utf-8") as file:
            write_records(file, chosen)
    return export(run, folder / "dataset", SETTINGS).out


def _make() -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("publish_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["publish_conftest"] = module
    spec.loader.exec_module(module)
    return module.Make()


def edited(clean: Path, out: Path, edits: dict[str, Edit]) -> Dataset:
    """A copy with other rows and another marker (`hardcut.json`), its digests as if it had been exported so."""
    shutil.copytree(clean, out)
    for config, edit in edits.items():
        for path in sorted((out / "data" / config).glob("*.parquet")):
            table = pq.read_table(path)
            rows = edit(path.name.split("-")[0], table.to_pylist())
            pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    told = json.loads((out / "hardcut.json").read_text())
    told.pop("files")
    for config in edits.keys() & told["rows"].keys():
        for path in (out / "data" / config).glob("*.parquet"):
            told["rows"][config][path.name.split("-")[0]] = pq.read_metadata(path).num_rows
    if "assigned.jsonl" in edits:
        lines = [json.dumps(line) for line in edits["assigned.jsonl"]("", [])]
        (out / "assigned.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if "hardcut.json" in edits:
        edits["hardcut.json"]("", [told])
    write_marker(out, told)
    write_marker(out, told, digests(out))
    return Dataset(out)


def each(change: Callable[[str, Row], Any], only: Callable[[str, Row], bool] = lambda split, row: True) -> Edit:
    """An edit that changes rows in place."""

    def edit(split: str, rows: list[Row]) -> list[Row]:
        for row in rows:
            if only(split, row):
                change(split, row)
        return rows

    return edit


def first_of(split: str, change: Callable[[Row], Any]) -> Edit:
    """An edit that changes the first row of a split."""

    def edit(found: str, rows: list[Row]) -> list[Row]:
        if found == split:
            change(rows[0])
        return rows

    return edit


def follows_video(split: str, row: Row) -> None:
    row["label"] = int(int(row["video_id"][1:]) % 3 == 0)
    row["logit_margin"] = 6.0 if row["label"] else -8.0


def follows_query(split: str, row: Row) -> None:
    row["label"] = int("amber" in row["query"] or "bridge" in row["query"] or "canal" in row["query"])
    row["logit_margin"] = 6.0 if row["label"] else -8.0


def follows_form(split: str, row: Row) -> None:
    """The words tell nothing: every query has the same, and ends in a question mark where it is answered."""
    row["query"] = f"which of them is it {'and' * (len(row['query']) % 2)}".strip() + ("?" if row["label"] else ".")


def follows_length(split: str, row: Row) -> None:
    """The same word, once or twice as often."""
    row["query"] = " ".join(["word"] * (8 if row["label"] else 4))


def grey_picture(split: str, row: Row) -> None:
    """Of every video that answers nothing, where labels follow the video."""
    if int(row["video_id"][1:]) % 3:
        row["look"].update(flat=0.1, flattest=0.0)


def first_anchor(clean: Path) -> str:
    return str(first(clean, "triplets", "train")["anchor"])


def held_out(clean: Path) -> str:
    return str(first(clean, "corpus", "test")["video_id"])


def stock_word(row: Row) -> str:
    return f"{row['unanswered']['query']} allegedly"


def title_in_query(clean: Path) -> Edit:
    titles = {
        row["video_id"]: next(entry["value"] for entry in row["metadata"] if entry["key"] == "title")
        for _, row in Dataset(clean).rows("corpus")
    }

    def change(split: str, row: Row) -> None:
        if row["source_video_id"]:
            row["query"] = titles[row["source_video_id"]]

    return each(change)


def path_tells(split: str, row: Row) -> None:
    if row["label"]:
        row["query"] = f"{row['query']} {row['video_id']}"


def drop_trusted(split: str, row: Row) -> None:
    for negative in row["negatives"]:
        negative["negative"] = "hard"


def judge_knows_better(split: str, row: Row) -> None:
    """A teacher that sees metadata alone is right about every pair."""
    row["text_only"] = "yes" if row["label"] else "no"


def no_licence(split: str, rows: list[Row]) -> list[Row]:
    rows[0]["settings"]["export"]["licence"] = None
    return rows


def flag_first(clean: Path) -> Edit:
    """Reviewers flagged a video, and it is there all the same."""
    video_id = first(clean, "corpus", "train")["video_id"]

    def edit(split: str, rows: list[Row]) -> list[Row]:
        rows[0]["withheld"]["videos"][digest(video_id)] = "flagged_unsafe"
        return rows

    return edit


def no_positive(row: Row) -> None:
    row["positive"]["label"] = 0


def before(kind: str, id: str, split: str) -> Edit:
    """The file of what earlier versions said, with one line."""
    return lambda _, rows: [{"kind": kind, "id": id, "split": split}]


FAULTS: dict[str, tuple[str, Callable[[Path], dict[str, Edit]]]] = {
    "a pair names a query that is not there": (
        "references",
        lambda clean: {"pairs": first_of("train", lambda row: row.update(query_id="q_gone"))},
    ),
    "qrels differ from the pairs": (
        "references",
        lambda clean: {"qrels": first_of("train", lambda row: row.update(grade=row["grade"] + 1))},
    ),
    "a twin video in two splits": (
        "video_leakage",
        lambda clean: {
            "corpus": first_of("test", lambda row: row.update(sha256=first(clean, "corpus", "train")["sha256"]))
        },
    ),
    "an event in two splits": (
        "event_leakage",
        lambda clean: {
            "corpus": first_of("test", lambda row: row.update(metadata=first(clean, "corpus", "train")["metadata"]))
        },
    ),
    "a near duplicate in two splits": (
        "near_duplicate_leakage",
        lambda clean: {
            "corpus": first_of("test", lambda row: row.update(group=first(clean, "corpus", "train")["group"]))
        },
    ),
    "a query in two splits, in other letters": (
        "query_leakage",
        lambda clean: {
            "queries": first_of(
                "test", lambda row: row.update(query=first(clean, "queries", "train")["query"].upper() + "!")
            )
        },
    ),
    "a held out video in training": (
        "held_out_use",
        lambda clean: {
            "pairs": first_of("train", lambda row: row.update(video_id=first(clean, "corpus", "test")["video_id"]))
        },
    ),
    "a composed query that starts from a held out video": (
        "held_out_use",
        lambda clean: {
            "pairs": first_of(
                "train", lambda row: row.update(reference_video_id=first(clean, "corpus", "test")["video_id"])
            )
        },
    ),
    "a video that was in test before": (
        "moved_splits",
        lambda clean: {"assigned.jsonl": before("video", first(clean, "corpus", "train")["video_id"], "test")},
    ),
    "a file, renamed, that was in test before": (
        "moved_splits",
        lambda clean: {"assigned.jsonl": before("content", first(clean, "corpus", "train")["sha256"], "test")},
    ),
    "a query that trained before": (
        "moved_splits",
        lambda clean: {"assigned.jsonl": before("query", first(clean, "queries", "test")["query_id"], "train")},
    ),
    "a mail address in a licence": (
        "personal_data",
        lambda clean: {"corpus": first_of("train", lambda row: row.update(licence="CC0, ask jo@mail.example.org"))},
    ),
    "a stock word on one side of the blocks": (
        "nuance_prior",
        lambda clean: {"diagnostic": each(lambda split, row: row["unanswered"].update(query=stock_word(row)))},
    ),
    "a stock word in the hard negatives of triplets": (
        "triplets",
        lambda clean: {"triplets": each(lambda split, row: row.update(hard_negative=f"no {row['hard_negative']}"))},
    ),
    "a text of a triplet in two splits": (
        "triplets",
        lambda clean: {"triplets": first_of("test", lambda row: row.update(anchor=first_anchor(clean)))},
    ),
    "a triplet that says the same twice": (
        "triplets",
        lambda clean: {"triplets": first_of("train", lambda row: row.update(positive=f"{row['anchor']}."))},
    ),
    "a triplet of a video that is held out": (
        "triplets",
        lambda clean: {"triplets": first_of("train", lambda row: row.update(video_id=held_out(clean)))},
    ),
    "a grey picture in every video that does not answer": (
        "look_prior",
        lambda clean: {"pairs": each(follows_video), "corpus": each(grey_picture)},
    ),
    "labels that follow the query": ("query_prior", lambda clean: {"pairs": each(follows_query)}),
    "labels that follow the punctuation": ("query_prior", lambda clean: {"pairs": each(follows_form)}),
    "labels that follow the length": ("query_prior", lambda clean: {"pairs": each(follows_length)}),
    "labels that follow the video": ("video_prior", lambda clean: {"pairs": each(follows_video)}),
    "the file's name in the query": ("text_only", lambda clean: {"pairs": each(path_tells)}),
    "a teacher that is right without the video": ("text_only", lambda clean: {"pairs": each(judge_knows_better)}),
    "a video that a reviewer flagged as unsafe": ("flagged", lambda clean: {"hardcut.json": flag_first(clean)}),
    "no licence": ("licence", lambda clean: {"hardcut.json": no_licence}),
    "a title copied into the query": ("copied_text", lambda clean: {"queries": title_in_query(clean)}),
    "groups without a trusted negative": ("groups", lambda clean: {"groups": each(drop_trusted)}),
    "a group without a positive": ("groups", lambda clean: {"groups": first_of("train", no_positive)}),
    "queries that make no group": ("groups", lambda clean: {"groups": lambda split, rows: rows[:3]}),
    "one label only in a split": (
        "degenerate",
        lambda clean: {"pairs": each(lambda split, row: row.update(label=0), lambda split, row: split == "test")},
    ),
    "margins that are all one value": (
        "degenerate",
        lambda clean: {"pairs": each(lambda split, row: row.update(logit_margin=0.0))},
    ),
    "one file that answers a query and does not": (
        "contradictions",
        lambda clean: {"pairs": each(lambda split, row: row.update(sha256="0" * 64))},
    ),
    "confidence that is not exact": (
        "exactness",
        lambda clean: {"pairs": each(lambda split, row: row.update(exact=False), lambda split, row: row["label"] == 0)},
    ),
    "a path that leaves the collection": (
        "media",
        lambda clean: {"corpus": first_of("train", lambda row: row.update(video_path="../secret.mp4"))},
    ),
    "a mail address in a query": (
        "personal_data",
        lambda clean: {"queries": first_of("train", lambda row: row.update(query="write to jo.doe@mail.example.org"))},
    ),
    "a telephone number in a caption": (
        "personal_data",
        lambda clean: {"captions": first_of("train", lambda row: row.update(caption="A sign: call +44 20 7946 0958"))},
    ),
}


def first(clean: Path, config: str, split: str) -> Row:
    return next(row for found, row in Dataset(clean).rows(config) if found == split)


def _vectors(folder: Path, dataset: Dataset, same: Sequence[int] = (), lacking: int = 0) -> Settings:
    """Vectors of a dataset's queries as `hardcut embed` writes them, one direction a query; those of `same` point one
    way. Returns settings that name them."""
    names = [row["external_id"] or row["query_id"] for _, row in dataset.rows("queries")][lacking:]
    numbers = np.eye(len(names), dtype=np.float32)
    for at in same:
        numbers[at] = numbers[same[0]] + 0.1 * numbers[at]
    VectorWriter(folder, "queries", {}).add(names, ["c"] * len(names), unit(numbers))
    write_note(folder, {"model": "any", "complete": True})
    return load_settings(SETTINGS, {"check.vectors": str(folder)})


def test_queries_that_mean_the_same_in_two_splits_are_found_by_vectors(clean: Path, tmp_path: Path) -> None:
    dataset = Dataset(clean)
    splits = [split for split, _ in dataset.rows("queries")]
    train, test = splits.index("train"), splits.index("test")
    found = CHECKS["meaning_leakage"](dataset, _vectors(tmp_path / "apart", dataset))
    assert found.state == "passed" and "0.95" in found.message
    within = [at for at, split in enumerate(splits) if split == "train"][:2]
    assert CHECKS["meaning_leakage"](dataset, _vectors(tmp_path / "within", dataset, within)).state == "passed"
    near = _vectors(tmp_path / "near", dataset, (train, test))
    edited_text = edited(clean, tmp_path / "bad", {"queries": each(lambda split, row: row.update(query="eine Katze"))})
    found = CHECKS["meaning_leakage"](edited_text, near)
    assert found.state == "failed" and found.count == 1 and "train" in found.items[0] and "test" in found.items[0]
    other = edited(
        clean, tmp_path / "other", {"queries": each(lambda split, row: row.update(query=f"gate {len(split)}"))}
    )
    assert CHECKS["meaning_leakage"](other, near).state == "passed", "another number is another query"
    lacking = CHECKS["meaning_leakage"](dataset, _vectors(tmp_path / "few", dataset, lacking=2))
    assert lacking.state == "unknown" and lacking.count == 2 and len(lacking.items) == 2
    assert "vectors" not in near.model_dump()["check"], "a folder of this machine is in no dataset"
    with pytest.raises(UsageError, match="no vectors in it"):
        check(dataset, load_settings(SETTINGS, {"check.vectors": str(tmp_path)}))


def test_a_clean_set_passes_every_check(clean: Path) -> None:
    results = check(Dataset(clean), SETTINGS)
    assert [result.name for result in results] == list(CHECKS)
    states = {result.name: result.state for result in results}
    assert states.pop("unsafe") == "off", "there is no list of words"
    assert states.pop("moved_splits") == "off", "it is the first version"
    assert states.pop("meaning_leakage") == "off", "no vectors are given"
    assert set(states.values()) == {"passed"}, [r for r in results if r.state != "passed"]
    assert not any(result.message.startswith("not measured") for result in results)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(clean: Path, tmp_path: Path, fault: str) -> None:
    name, edits = FAULTS[fault]
    dataset = edited(clean, tmp_path / "bad", edits(clean))
    result = CHECKS[name](dataset, gate_settings(dataset))
    assert result.state == "failed" and result.stops, result
    assert result.advice and result.message and (result.examples or result.value is not None)


def test_what_gives_a_video_away_is_named(clean: Path, tmp_path: Path) -> None:
    dataset = edited(clean, tmp_path / "bad", {"pairs": each(follows_video), "corpus": each(grey_picture)})
    result = CHECKS["look_prior"](dataset, SETTINGS)
    assert any("'flattest' is more in the answer in" in example for example in result.examples), result


@pytest.mark.parametrize("lacking", ["of one video", "of all, as in earlier versions"])
def test_pictures_that_are_unknown_are_not_fine(clean: Path, tmp_path: Path, lacking: str) -> None:
    dataset = edited(clean, tmp_path / "bad", {"corpus": first_of("train", lambda row: row.update(look=None))})
    if lacking != "of one video":
        for path in sorted((tmp_path / "bad" / "data" / "corpus").glob("*.parquet")):
            pq.write_table(pq.read_table(path).drop_columns(["look", "codec"]), path)
    result = CHECKS["look_prior"](dataset, SETTINGS)
    assert result.state == "unknown" and items_to_allow(result), result
    assert result.count == (1 if lacking == "of one video" else 120)


def test_a_file_alone_gives_a_video_away(clean: Path, tmp_path: Path) -> None:
    """Also where nothing is known of the pictures."""

    def change(split: str, row: Row) -> None:
        row.update(look=None, duration_s=9.0 if int(row["video_id"][1:]) % 3 else 12.5)

    dataset = edited(clean, tmp_path / "bad", {"pairs": each(follows_video), "corpus": each(change)})
    result = CHECKS["look_prior"](dataset, SETTINGS)
    assert result.state == "failed" and any("'duration'" in each for each in result.examples), result


def test_every_check_has_a_planted_fault() -> None:
    """But those that ask what the filters of the run could not look at: what they find is not in the dataset. And
    `meaning_leakage`, which looks at vectors beside it, has a test of its own."""
    elsewhere = {"added_filters", "meaning_leakage"}
    assert {name for name, _ in FAULTS.values()} == set(CHECKS) - FILTERS.keys() - elsewhere


def test_a_clip_that_may_not_be_passed_on(clean: Path, tmp_path: Path) -> None:
    closed = edited(clean, tmp_path / "closed", {"corpus": each(lambda split, row: row.update(licence="all rights"))})
    row = first(clean, "corpus", "train")
    clip = {name: row[name] for name in ("video_id", "sha256", "duration_s")}
    media = tmp_path / "closed" / "data" / "media"
    media.mkdir()
    pq.write_table(
        pa.Table.from_pylist([{**clip, "licence": None, "video": {"bytes": b"x", "path": "a.mp4"}}]),
        media / "train-00000-of-00001.parquet",
    )
    assert CHECKS["licence"](closed, SETTINGS).state == "failed"
    assert "not the file" in CHECKS["media"](closed, SETTINGS).examples[0]


def test_a_file_that_was_altered_or_taken_away_is_found(clean: Path, tmp_path: Path) -> None:
    dataset = edited(clean, tmp_path / "bad", {})
    (tmp_path / "bad" / "left_out.jsonl").write_text("{}")
    (tmp_path / "bad" / "plots" / "margins.png").unlink()
    found = CHECKS["references"](dataset, SETTINGS)
    assert found.state == "failed" and set(found.examples) == {"left_out.jsonl: altered", "plots/margins.png: missing"}


@pytest.mark.parametrize(
    "marker, message",
    [
        ({"settings": []}, "'settings' is not what it should be"),
        ({"settings": {"export": None}}, "'settings' is not what it should be"),
        ({"gate": 3}, "'gate' is not what it should be"),
        ({"rows": {"pairs": 3}}, "'rows' is not what it should be"),
        ({"guards": []}, "'guards' is not what it should be"),
        ({"settings": {"check": {"query_auc": 7}}}, "its settings cannot be read"),
        ({"settings": {}}, "it lists no files"),
        ({"files": 3}, "it lists no files"),
    ],
)
def test_a_marker_that_was_edited_by_hand_is_told(tmp_path: Path, marker: Row, message: str) -> None:
    (tmp_path / "hardcut.json").write_text(json.dumps(marker))
    dataset = Dataset(tmp_path)
    with pytest.raises(UsageError, match=message):
        refuse_damaged(check(dataset, gate_settings(dataset)))


def test_a_finding_is_allowed_by_name_with_its_reason_and_still_told(clean: Path, tmp_path: Path) -> None:
    dataset = edited(clean, tmp_path / "bad", FAULTS["a mail address in a query"][1](clean))
    [finding] = next(one for one in check(dataset, SETTINGS) if one.name == "personal_data").items
    where = finding.partition(": ")[0]
    for item in (finding, where):
        results = {
            one.name: one for one in check(dataset, SETTINGS, [f"personal_data: {item} because it is the sign's own"])
        }
        found = results["personal_data"]
        assert found.state == "allowed" and "jo." in found.examples[0] and found.allowed[0].item == item
        assert "jo.doe@mail" not in str(results), "a report must not publish what it warns of"
        assert not stopped(list(results.values()))
    other = [f"personal_data: {where}0 because it is another"]
    assert "personal_data" in {one.name for one in stopped(check(dataset, SETTINGS, other))}
    with pytest.raises(UsageError, match="did you mean 'personal_data'"):
        check(dataset, SETTINGS, ["personal-data: x because y"])
    for form in ("personal_data", "personal_data because y", "personal_data: x", "personal_data: x because "):
        with pytest.raises(UsageError, match="no check is switched off whole"):
            check(dataset, SETTINGS, [form])


def test_two_findings_of_one_check_are_two_allowances(clean: Path, tmp_path: Path) -> None:
    def write(split: str, rows: list[Row]) -> list[Row]:
        for at, row in enumerate(rows[:2] if split == "train" else ()):
            row["query"] = f"write to jo{at}.doe@mail.org about it"
        return rows

    dataset = edited(clean, tmp_path / "bad", {"queries": write})
    first, second = next(one for one in check(dataset, SETTINGS) if one.name == "personal_data").items
    texts = [f"personal_data: {item.partition(': ')[0]} because it is public" for item in (first, second)]
    half = next(one for one in check(dataset, SETTINGS, texts[:1]) if one.name == "personal_data")
    assert half.stops and half.items == (second,) and "of which 1 are allowed" in half.message
    both = next(one for one in check(dataset, SETTINGS, texts) if one.name == "personal_data")
    assert both.state == "allowed" and [one.reason for one in both.allowed] == ["it is public"] * 2
    kept = with_allowances(SETTINGS, texts)
    assert [one.state for one in check(dataset, kept) if one.name == "personal_data"] == ["allowed"]
    assert with_allowances(kept, texts) == kept


def test_a_measure_is_allowed_up_to_a_value() -> None:
    result = by_limit("text_only", 0.93, 0.9, "told by titles", "ask harder queries")
    assert items_to_allow(result) == ("0.93",)
    for item, state in (("0.93", "allowed"), ("0.95", "allowed"), ("0.92", "failed"), ("all", "failed")):
        (allowance,) = read_allowances([f"text_only: {item} because titles are part of the task"])
        assert allowed(result, [allowance]).state == state, item


def test_what_could_not_be_looked_at_is_allowed_by_item_or_by_how_much() -> None:
    of_items = could_not_look("media", "no file", count=2, items=["v1: gone", "v2: gone"])
    of_some = could_not_look("media", "no file", count=3, items=["v1: gone"])
    of_nothing = could_not_look("query_prior", "too few pairs")
    assert items_to_allow(of_items) == ("v1: gone", "v2: gone")
    assert (items_to_allow(of_some), items_to_allow(of_nothing)) == (("3",), ("could not look",))

    def state(result: CheckResult, *items: str) -> str:
        return allowed(result, read_allowances(f"{result.name}: {item} because of it" for item in items)).state

    assert [state(of_items, "v1", "v2"), state(of_items, "v1"), state(of_items, "2")] == ["allowed"] + ["unknown"] * 2
    assert [state(of_some, "3"), state(of_some, "2"), state(of_some, "v1")] == ["allowed", "unknown", "unknown"]
    assert [state(of_nothing, "could not look"), state(of_nothing, "9")] == ["allowed", "unknown"]
    needs = could_not_look("query_prior", "no library", cause="needs")
    assert state(needs, "could not look") == "unknown", "a missing library cannot be allowed"


def test_without_its_library_a_check_could_not_look_and_stops(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    allow = ["query_prior: could not look because of it"]
    results = {result.name: result for result in check(Dataset(clean), SETTINGS, allow)}
    assert results["query_prior"].state == "unknown" and results["query_prior"].stops, "nor can it be allowed"
    assert 'pip install "hardcut[default]"' in results["query_prior"].message


def test_a_folder_of_others_and_a_broken_table_are_told(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no hardcut\.json in it"):
        check(Dataset(tmp_path), SETTINGS)
    shutil.copytree(clean, tmp_path / "bad")
    next((tmp_path / "bad" / "data" / "queries").glob("train*")).write_bytes(b"PAR1 no")
    found = CHECKS["query_leakage"](Dataset(tmp_path / "bad"), SETTINGS)
    assert found.state == "unknown" and "queries/train-" in found.message and "not readable as Parquet" in found.message


@pytest.mark.parametrize(
    "licence, open",
    [
        ("CC0-1.0", True), ("cc-by-4.0", True), ("CC BY-SA 4.0", True), ("CC-BY-NC-ND-4.0", True), ("MIT", True),
        ("https://creativecommons.org/licenses/by/4.0/", True), ("Public Domain", True), ("Creative Commons BY", True),
        ("all rights reserved", False), ("Standard YouTube License", False), ("", False), (None, False), ("by", False),
    ],
)  # fmt: skip
def test_which_licences_let_a_clip_be_passed_on(licence: str | None, open: bool) -> None:
    assert allows_redistribution(licence) == open


@pytest.mark.parametrize(
    "text, kinds",
    [
        ("call (020) 7946 0958 now", ["telephone number"]),
        ("tel. 0171-234 5678", ["telephone number"]),
        ("+442079460958 or 0171 2345678 or 030/1234567", ["telephone number"] * 3),
        ("card 4111 1111 1111 1111", ["payment card"]),
        ("ann@example.com and bob+x@mail.example.co.uk", ["mail address", "mail address"]),
        ("on 2016-05-04 at 12:30, 1920x1080, 10 000 people, 2014-2018, v1.2.3", []),
        ("order 4111 1111 1111 1112", []),
        ("a score of 3-2 after 90 minutes", []),
        ("read at 24.367-26.367 s, and at 1024.36-1126.75 s", []),
        ("boxes 12.50 13.75 140.25, host 192.168.100.200, 1.234.567.890 views", []),
        ("ISBN 978-3-16-148410-0 on the cover, IMG_20190812_153000, 3.1415926535", []),
        ("the box 120 340 560 780 of 1920 1080 640 360, item 4711 0815 1234", []),
        ("650 253 0000, 98765 43210, 612 345 678", ["telephone number"] * 3),
        ("拨打 138 1234 5678", ["telephone number"]),
        ("call 5551234567", ["telephone number"]),
        ("call 555.123.4567 or 555 123 4567", ["telephone number"] * 2),
        ("拨打13812345678订购", ["telephone number"]),
        ("звоните по89161234567сейчас", ["telephone number"]),
        ("邮箱ann@example.com联系", ["mail address"]),
    ],
)
def test_what_looks_like_personal_data(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in personal(text)] == kinds


def test_luhn() -> None:
    assert luhn("79927398713") and not luhn("79927398710") and not luhn("0000000000000000")
