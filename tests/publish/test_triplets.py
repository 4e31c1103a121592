"""The config of triplets, and TARA's own files."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish._parquet import ConfigWriter
from hardcut.publish.anchored import AnchorTally, Half, WordWeights, is_worded_as_the_positive, rates
from hardcut.publish.columns import COLUMNS
from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import export
from hardcut.publish.formats.registry import convert
from hardcut.publish.formats.tara import Texts, read_csv, write_csv
from hardcut.publish.gate import check
from hardcut.publish.triplets import Fit, triplet_row, write_sets
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import TeacherRef
from hardcut.schemas.settings import Settings
from hardcut.schemas.triplets import TextSource, Triplet, composed_anchor, is_balanced
from hardcut.synth.contrasts import Said, balanced_set
from hardcut.synth.edited import edited_set
from hardcut.teacher.prompts.reply_models import TurnedReply

SOURCE = TextSource(kind="query", id="q_1")
REWORDED = TextSource(kind="paraphrase", id="q_1")
AWKWARD = (
    Texts('a sign reads "stop, please"', "a sign\nof two lines", "it says: no"),
    Texts("大門打開", "the door opens", "the door closes"),
)


def triplet(anchor: str = "a before b", positive: str = "b after a", negative: str = "a after b") -> Triplet:
    source = TextSource(kind="query", id="q_1", teacher=TeacherRef(backend="openai", model="m", endpoint="http://x"))
    return Triplet.create(
        set_id="s_1", nuance="temporal", anchor=anchor, positive=positive, hard_negative=negative,
        anchor_source=source, positive_source=source, hard_negative_source=source, video_id="v1", made_from="v1",
    )  # fmt: skip


def test_a_row_has_every_column_and_no_address(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    row = triplet_row(triplet())
    assert set(row) == set(COLUMNS["triplets"])
    with ConfigWriter(tmp_path, "triplets", ["train"]) as writer:
        writer.add("train", row)
    [path] = (tmp_path / "triplets").iterdir()
    assert pq.read_table(path).to_pylist() == [row]
    assert row["anchor_source"] == {"kind": "query", "id": "q_1", "teacher": "openai:m"}


def judged(make: Any, query: Any, grades: dict[str, int]) -> list[Any]:
    pairs = {video: make.pair(query, video) for video in grades}
    return [query, *pairs.values(), *(make.judgment(pairs[video], grade) for video, grade in grades.items())]


def exported(run: Path, out: Path) -> tuple[Dataset, Counter[str], list[dict[str, Any]]]:
    settings = Settings(export=ExportSettings(licence="cc0-1.0", train=0.5, validation=0.0))
    dataset = Dataset(export(run, out, settings).out)
    left = [json.loads(line) for line in (dataset.folder / "left_out.jsonl").read_text("utf-8").splitlines()]
    rows = [{**row, "split": split} for split, row in dataset.rows("triplets")] if "triplets" in dataset.configs else []
    return dataset, Counter(line["reason"] for line in left), rows


def test_a_set_is_exported_whole_where_it_was_judged_so(make: Any, write_run: Any, tmp_path: Path) -> None:
    names = ("amber gate", "brass horn", "coal mine", "dusty road")
    records: list[Any] = [make.video(f"v{at}", event=f"e{at}") for at in range(4)]
    queries, turned = [], []
    for at, name in enumerate(names):
        queries.append(make.query(f"the {name} opens", f"v{at}"))
        turned.append(make.query(f"the {name} closes", f"v{at}", variant="reversed", parent_query_id=queries[at].id))
        records += make.triplets(queries[at], turned[at])
    for at in range(4):
        other = f"v{(at + 1) % 4}"
        records += judged(make, queries[at], {f"v{at}": 1, other: 0})
        # of the second both sides are judged alike, and the third was never judged on its own video
        records += judged(make, turned[at], {other: 0, **{0: {"v0": 0}, 1: {"v1": 1}, 2: {}, 3: {"v3": 0}}[at]})
    dataset, left, rows = exported(write_run(tmp_path / "run", records), tmp_path / "out")
    assert {row["anchor_source"]["id"] for row in rows} == {
        each.id for at in (0, 3) for each in (queries[at], turned[at])
    }
    assert len(rows) == 16 and left["not_judged_so"] == 2
    splits = {row["video_id"]: split for split, row in dataset.rows("corpus")}
    for row in rows:
        about = {"the amber": "v0", "the dusty": "v3"}[" ".join(row["anchor"].removeprefix("here ").split()[:2])]
        assert row["split"] == splits[about] and row["video_id"] == (about if "opens" in row["anchor"] else None)
    done = convert(dataset, "triplets", tmp_path / "tara")
    assert sum(done.rows.values()) == 16 and not done.left_out
    read = [texts for name in done.rows for texts in read_csv(tmp_path / "tara" / name)]
    assert sorted(read) == sorted(Texts(row["anchor"], row["positive"], row["hard_negative"]) for row in rows)
    result = next(each for each in check(dataset, Settings()) if each.name == "triplets")
    assert result.state == "passed" and "as often a positive" in result.message


def test_a_mirror_gives_the_other_side_its_video(make: Any, write_run: Any, tmp_path: Path) -> None:
    query = make.query("the amber gate opens", "v0")
    turned = make.query("the amber gate closes", "v0", variant="reversed", parent_query_id=query.id)
    records = [make.video(f"v{at}", event="one") for at in range(2)]
    records += judged(make, query, {"v0": 1, "v1": 0}) + judged(make, turned, {"v0": 0, "v1": 1})
    _, _, rows = exported(write_run(tmp_path / "run", [*records, *make.triplets(query, turned)]), tmp_path / "out")
    assert {(row["anchor"], row["video_id"]) for row in rows} == {
        (text, video) for end, video in (("opens", "v0"), ("closes", "v1"))
        for text in (f"the amber gate {end}", f"here the amber gate {end}")
    }  # fmt: skip


def test_half_a_set_and_a_text_of_a_later_split_are_left_out(make: Any, write_run: Any, tmp_path: Path) -> None:
    records: list[Any] = [make.video(f"v{at}", split=split) for at, split in enumerate(("train", "train", "test"))]
    for at, name in enumerate(("amber gate", "brass horn", "coal mine")):
        query = make.query(f"the {name} opens", f"v{at}")
        turned = make.query(f"the {name} closes", f"v{at}", variant="reversed", parent_query_id=query.id)
        records += judged(make, query, {f"v{at}": 1}) + judged(make, turned, {f"v{at}": 0})
        found = make.triplets(query, turned)
        if name == "brass horn":  # its paraphrases are worded as those of the third, which is tested on
            swap = {text: text.replace("brass horn", "coal mine") for each in found for text in (each.positive,)}
            found = [
                each.model_copy(update={name: swap.get(getattr(each, name)) if getattr(each, name).startswith("here")
                                        else getattr(each, name) for name in ("anchor", "positive", "hard_negative")})
                for each in found
            ]  # fmt: skip
        records += found[:3] if name == "amber gate" else found
    _, left, rows = exported(write_run(tmp_path / "run", records), tmp_path / "out")
    assert left["unbalanced_set"] == left["leaks_into_later_split"] == 1
    assert {row["split"] for row in rows} == {"test"} and len(rows) == 8


def balanced(at: int, here: str, there: str) -> list[Triplet]:
    sides = (
        (Said(f"a {text} box {at}", SOURCE), Said(f"one sees {text} box {at}", REWORDED)) for text in (here, there)
    )
    return balanced_set("facet", *sides, f"s_{at:02}", true_of="v0", family="q_1")


def edits_of(video: str, caption_id: str, one: str, other: str) -> list[Triplet]:
    given = Said(f"A {one} opens.", TextSource(kind="caption", id=caption_id))
    written = Said(f"A {other} opens.", TextSource(kind="written", id=caption_id))
    edit, back = f"{other} in place of {one}", f"{one} in place of {other}"
    turned = TurnedReply(
        nuance="composed", text=written.text, again=given.text, text_again=written.text, edit=edit, back=back
    )
    return edited_set(given, written, turned, f"s_{video}", made_from=video)


def test_edits_of_captions_go_with_their_videos(make: Any, write_run: Any, tmp_path: Path) -> None:
    names = {"v0": ("gate", "door"), "v1": ("horn", "lid"), "v2": ("mine", "shaft")}
    splits = {"v0": "train", "v1": "test", "v2": "train"}
    records: list[Any] = [make.video(id, split=split) for id, split in splits.items()]
    for id, (one, other) in names.items():
        records += judged(make, make.query(f"the {one} opens", id), {id: 1})
        caption = make.caption(id, f"A {one} opens.")
        records += edits_of(id, caption.caption_id, one, other) + ([caption] if id != "v2" else [])
    dataset, left, rows = exported(write_run(tmp_path / "run", records), tmp_path / "out")
    assert left["caption_left_out"] == 1 and len(rows) == 4
    told = {row["positive"]: (row["split"], row["video_id"], row["nuance"]) for row in rows}
    assert told == {
        "A gate opens.": ("train", "v0", "composed"), "A door opens.": ("train", None, "composed"),
        "A horn opens.": ("test", "v1", "composed"), "A lid opens.": ("test", None, "composed"),
    }  # fmt: skip
    assert {row["anchor_source"]["kind"] for row in rows} == {"edited"}
    result = next(each for each in check(dataset, Settings()) if each.name == "triplets")
    assert result.state == "passed"


def weights_of(sets: list[list[Triplet]]) -> WordWeights:
    weights = WordWeights()
    for members in sets:
        weights.note(text for each in members for text in (each.anchor, each.positive, each.hard_negative))
    return weights


def told(sets: list[list[Triplet]]) -> AnchorTally:
    tally = AnchorTally(weights_of(sets))
    for members in sets:
        tally.add(members[0].set_id, members)
    return tally


def test_words_in_common_with_the_anchor_tell_nothing_more(tmp_path: Path) -> None:
    """Of two words that differ a bag of words is right on every negative, of one only on those in the positive's
    wording; of one rare word, where rare words weigh more, on those in the anchor's wording too."""
    sets = [balanced(at, "red", "blue") for at in range(9)]
    sets += [balanced(at, *(("cerise", "teal") if at % 2 else ("red round", "blue square"))) for at in range(9, 13)]
    weights = weights_of(sets)
    for as_positive in (True, False):
        of = [each for members in sets for each in members if is_worded_as_the_positive(each) == as_positive]
        assert len(of) == 4 * len(sets)
        assert (rates(of, weights).plain == 1.0) == as_positive
    gone = told(sets).too_easy()
    left = [
        each for members in sets for each in members
        if Half(members[0].set_id, is_worded_as_the_positive(each)) not in gone
    ]  # fmt: skip
    before, after = (rates(some, weights) for some in ([each for members in sets for each in members], left))
    assert before.plain > 0.5 and before.rare > 0.5 and max(after) <= 0.5
    assert {half.as_positive for half in gone} == {True, False}
    assert len(left) >= 4 * len(sets)
    assert is_balanced(left)
    with ConfigWriter(tmp_path, "triplets", ["train"]) as writer:
        fits = (Fit("train", each) for members in sets for each in members)
        left_out = list(write_sets(writer, fits))
    assert sorted(record.item for record in left_out) == sorted(half.set_id for half in gone)
    assert {record.reason for record in left_out} == {"told_by_anchor"} and writer.sizes["train"].rows == len(left)


def test_where_words_tell_all_the_same_nothing_goes() -> None:
    tally = told([balanced(0, "red round", "blue square")])
    assert tally.right == (tally.count, tally.count) and not tally.too_easy()


def test_hard_negatives_that_words_do_not_tell_stay() -> None:
    source = (SOURCE, REWORDED)
    here = tuple(Said(text, each) for text, each in zip(("a before b", "b after a"), source, strict=True))
    there = tuple(Said(text, each) for text, each in zip(("b before a", "a after b"), source, strict=True))
    tally = told([balanced_set("temporal", here, there, "s_1")])  # type: ignore[arg-type]
    assert not tally.too_easy() and max(tally.right) <= tally.count / 2


def test_without_triplets_there_is_no_config_and_no_file(make: Any, write_run: Any, tmp_path: Path) -> None:
    records = [make.video("v0"), *judged(make, make.query("the amber gate opens", "v0"), {"v0": 1})]
    dataset, _, _ = exported(write_run(tmp_path / "run", records), tmp_path / "out")
    assert "triplets" not in dataset.configs
    with pytest.raises(UsageError, match="no triplets: set"):
        convert(dataset, "triplets", tmp_path / "tara")


def test_taras_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    assert write_csv(path, iter(AWKWARD)) == 2
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [tuple(texts) for texts in AWKWARD]
    assert list(rows[0]) == ["sent0", "sent1", "hard_neg"]
    assert list(read_csv(path)) == list(AWKWARD)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("sent0,sent1\na,b\n", "no column 'hard_neg'"),
        ("sent0,sent1,hard_neg\na,b,c\na,,c\n", "line 3: a text is missing"),
        ("", "it is empty"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, body: str, told: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(body)
    with pytest.raises(UsageError, match=told):
        list(read_csv(path))


def test_other_columns_and_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("id,hard_neg,sent0,sent1\n1,c,a,b\n")
    assert list(read_csv(path)) == [Texts("a", "b", "c")]


def test_the_anchor_of_an_edit_says_both() -> None:
    assert composed_anchor("a red ball rolls", "make it blue") == "a red ball rolls Edit: make it blue"
