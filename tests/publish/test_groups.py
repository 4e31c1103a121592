"""Training groups, difficulty, the diagnostic set, and clips in the dataset."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hardcut.publish.blocks import RULE
from hardcut.publish.dataset import Dataset
from hardcut.publish.difficulty import Difficulty, difficulty
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.groups import training_groups
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import digest
from hardcut.schemas.records import FirstStage, Pair
from hardcut.schemas.settings import Settings

SETTINGS = Settings(export=ExportSettings(licence="cc0-1.0", train=0.6, validation=0.2))
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "videos"


def row(
    place: int, label: int, negative: str = "none", margin: float | None = None, rank: int = 1, origin: str = "mined"
) -> dict[str, Any]:
    hit = {"run": "bm25", "rank": rank, "score": 1.0}
    return {
        "pair_id": f"p{place:03}",
        "origins": [origin],
        "label": label,
        "negative": negative,
        "logit_margin": margin,
        "first_stage": [hit],
        "text_only": None,
    }


@settings(deadline=None)
@given(
    positives=st.integers(0, 3),
    kinds=st.lists(st.sampled_from(["trusted", "hard"]), max_size=12),
    negatives=st.integers(1, 4),
    trusted=st.integers(1, 2),
    most=st.integers(1, 5),
)
def test_every_group_is_whole(positives: int, kinds: list[str], negatives: int, trusted: int, most: int) -> None:
    options = ExportSettings(
        negatives_per_group=max(negatives, trusted), trusted_per_group=trusted, groups_per_positive=most
    )
    rows = [row(i, 1) for i in range(positives)]
    rows += [row(100 + i, 0, kind, -10.0 + i) for i, kind in enumerate(kinds)]
    found = list(training_groups(rows, options))
    used: dict[str, list[str]] = {}
    for _, positive, chosen in found:
        assert positive["label"] == 1 and len(chosen) == options.negatives_per_group
        assert sum(one["negative"] == "trusted" for one in chosen) >= trusted
        used.setdefault(positive["pair_id"], []).extend(one["pair_id"] for one in chosen)
    assert all(len(ids) == len(set(ids)) for ids in used.values()), "groups of a positive share no negative"
    assert len({group_id for group_id, _, _ in found}) == len(found)
    possible = positives and kinds.count("trusted") >= trusted and len(kinds) >= options.negatives_per_group
    assert bool(found) == bool(possible) and len(found) <= positives * most


def test_the_hardest_negatives_come_first() -> None:
    rows = [
        row(0, 1),
        row(1, 0, "trusted", -9.0),
        row(2, 0, "trusted", -6.5),
        row(3, 0, "hard", -1.0),
        row(4, 0, "hard"),
    ]
    ((_, _, chosen),) = training_groups(rows, ExportSettings(groups_per_positive=1))
    assert [one["pair_id"] for one in chosen] == ["p002", "p003"], "what is not known comes last"


def test_what_was_made_to_be_a_negative_comes_before_what_was_mined() -> None:
    made = {"origin": "counterfactual"}
    rows = [row(0, 1), row(1, 1), row(2, 0, "trusted", -3.0), row(3, 0, "trusted", -9.0, **made)]
    rows += [row(4, 0, "hard", -1.0), row(5, 0, "hard", -1.5, **made), row(6, 0, "trusted", -8.0, **made)]
    found = [[one["pair_id"] for one in chosen] for _, _, chosen in training_groups(rows, ExportSettings())]
    assert found == [
        ["p006", "p005"], ["p003", "p004"],  # of the first positive; the third has too few
        ["p003", "p005"], ["p006", "p004"],
    ]  # fmt: skip
    few = [*rows[:3], rows[5]]
    found = [[one["pair_id"] for one in chosen] for _, _, chosen in training_groups(few, ExportSettings())]
    assert found == [["p005", "p002"]] * 2, "the trusted one is there, and does not come first"


def test_difficulty_is_what_was_measured() -> None:
    rows = [row(0, 1, margin=4.0, rank=7), row(1, 1, margin=2.5, rank=3), row(2, 0, "hard", -1.0, 1), row(3, 0, "hard")]
    span = {"start": 0, "end": 1}
    facets = [
        {"modality": "ocr", "span": span},
        {"modality": "ocr", "span": None},
        {"modality": "speech", "span": span},
    ]
    found = difficulty(rows, facets)
    parts = (1 - 1 / 3, 2 / (1 + math.exp(3.5)), 1 - 1 / 3)
    assert found == Difficulty(3, 3.5, None, 2, 2, round(sum(parts) / 3, 6))
    assert difficulty([], []) == Difficulty(None, None, None, 0, 0, None)


def test_a_query_that_metadata_solves_is_easy() -> None:
    def score(source: str | None, *others: str | None) -> tuple[bool | None, float | None]:
        rows = [{**row(0, 1), "text_only": source}]
        rows += [{**row(place, 0, "hard"), "text_only": told} for place, told in enumerate(others, 1)]
        found = difficulty(rows, [])
        return found.unwatched, found.score

    assert score("yes", "no", "no", "no", None) == (True, 0.0)
    assert score("no", "no", "no") == (False, 0.5) == score("yes", "yes", "no")
    assert score("yes", "no", "no") == (None, 0.0), "two negatives may have been luck"
    assert score(None, "no", "no") == (None, 0.0)


def family(make: Any, i: int) -> tuple[Any, Any, Any, Any]:
    """A query, its reverse, and both sides of a denial, about video i."""
    name = "abcdef"[i] * 9
    query = make.query(f"the ball {name} rolls to the left", f"v{i}")
    fields = {"parent_query_id": query.query_id}
    turned = make.query(f"the ball {name} rolls to the right", f"v{i}", variant="reversed", kind="temporal", **fields)
    fields["kind"] = "negation"
    negated = make.query(f"the ball {name}, but no {name}", f"v{i}", variant="negated", **fields)
    absent = make.query(f"the ball {name}, but no {name[::-1]}x", f"v{i}", variant="negated_absent", **fields)
    return query, turned, negated, absent


def met(make: Any, query: Any, video: str, grade: int, margin: float) -> list[Any]:
    fields = {"query_id": query.query_id, "video_id": video, "origins": ("counterfactual",), "expected": "unknown"}
    pair = Pair.create(**fields)
    label = make.label(pair, "yes" if grade else "no", margin)
    return [pair, label, make.judgment(pair, grade, label)]


def test_both_sides_make_a_block(tmp_path: Path, make: Any, write_run: Callable[..., Path]) -> None:
    """Video 5: a person found the negated query relevant. Video 4 answers the reverse of video 3's query."""
    records: list[Any] = []
    for i in range(6):
        query, turned, negated, absent = family(make, i)
        records += [make.video(f"v{i}"), query, turned, negated, absent]
        records += met(make, query, f"v{i}", 1, 6.0) + met(make, turned, f"v{i}", 0, -7.0)
        records += met(make, negated, f"v{i}", int(i == 5), -8.0) + met(make, absent, f"v{i}", 1, 5.0)
        for step in range(1, 5):
            records += met(make, query, f"v{(i + step) % 6}", 0, -9.0)
        if i == 3:
            records += met(make, turned, "v4", 1, 4.0)
    alone = Settings(export=ExportSettings(train=1.0, validation=0.0, licence="cc0-1.0"))
    out = export(write_run(tmp_path / "run", records), tmp_path / "out", alone).out
    rows = {(row["video_id"], row["change"]): row for _, row in Dataset(out).rows("diagnostic")}
    every = {(f"v{i}", change) for i in range(6) for change in ("reversed", "negated")}
    assert set(rows) == every - {("v5", "negated")}
    one = rows["v0", "negated"]
    assert one["answered"]["query"].endswith("aaax") and one["unanswered"]["query"].endswith("no aaaaaaaaa")
    assert rows["v0", "reversed"]["answered"]["query"].endswith("left") and one["rule"] == RULE
    assert {key for key, row in rows.items() if row["mirror"]} == {("v3", "reversed")}
    assert rows["v3", "reversed"]["mirror"]["video_id"] == "v4"
    assert RULE in " ".join((tmp_path / "out" / "README.md").read_text().split())

    groups = {row["positive"]["video_id"]: row for _, row in Dataset(out).rows("groups")}
    turned, absent, negated = groups["v0"]["counterfactuals"][-1:] + groups["v0"]["counterfactuals"][:2]
    assert (turned["change"], turned["against"]) == ("reversed", groups["v0"]["query_id"]) and not turned["answered"]
    assert (absent["answered"], negated["answered"]) == (True, False), "of two sides the answered one first"
    assert absent["against"] == negated["query_id"] and negated["against"] == absent["query_id"]
    assert [each["change"] for each in groups["v5"]["counterfactuals"]] == ["reversed"]
    assert all(negative["video_id"] != "v0" for negative in groups["v0"]["negatives"]), "they are no negatives"


def test_what_text_tells_is_left_out_and_named(tmp_path: Path, make: Any, write_run: Callable[..., Path]) -> None:
    """Of 40 blocks 12 have a stock word on the side that is not answered."""
    records: list[Any] = []
    for i in range(40):
        words = [digest([i, place])[:6] for place in range(3)]
        query = make.query(" ".join([*words, digest(i)[:6]]), f"v{i}")
        said = " ".join([*words, digest([i])[:6], *(["allegedly"] if i < 12 else [])])
        changed = make.query(said, f"v{i}", variant="facet_changed", parent_query_id=query.query_id)
        records += [make.video(f"v{i}"), query, changed]
        records += met(make, query, f"v{i}", 1, 6.0) + met(make, changed, f"v{i}", 0, -7.0)
    alone = Settings(export=ExportSettings(train=1.0, validation=0.0, licence="cc0-1.0"))
    found = export(write_run(tmp_path / "run", records), tmp_path / "out", alone)
    told = [json.loads(line) for line in (found.out / "left_out.jsonl").read_text().splitlines()]
    told = [line for line in told if line["reason"] == "told_by_text"]
    kept = [row for _, row in Dataset(found.out).rows("diagnostic")]
    assert len(told) == found.left_out["told_by_text"] == 40 - len(kept) and len(kept) >= 20
    assert sum("allegedly" in line["detail"] for line in told) >= 0.8 * len(told), "it is those that are told"
    assert next(each for each in found.gate if each.name == "nuance_prior").state == "passed"


def test_clips_are_packed_only_where_the_licence_allows_it(tmp_path: Path, make: Any, write_run: Any) -> None:
    clip = next(path for path in sorted(SAMPLE.rglob("*.mp4")))
    root = tmp_path / "videos"
    root.mkdir()
    records: list[Any] = []
    for name, licence in (
        ("open", "CC0-1.0"),
        ("closed", "all rights reserved"),
        ("altered", "CC0-1.0"),
        ("gone", "MIT"),
    ):
        body = clip.read_bytes() + (b"x" if name == "altered" else b"")
        if name != "gone":
            (root / f"{name}.mp4").write_bytes(body)
        video = make.video(name, licence=licence).model_copy(
            update={"sha256": hashlib.sha256(clip.read_bytes()).hexdigest(), "size_bytes": len(body)}
        )
        query = make.query(f"a query about {name * 3}", name)
        pair = make.pair(query, name)
        records += [video, query, pair, make.judgment(pair, 1)]
    out = export(
        write_run(tmp_path / "run", records), tmp_path / "out", SETTINGS, options=ExportOptions(media=root)
    ).out
    rows = [row for _, row in Dataset(out).rows("media")]
    assert [row["video_id"] for row in rows] == ["open"] and rows[0]["video"]["bytes"] == clip.read_bytes()
    card = (out / "README.md").read_text()
    assert "(1 of 4; left out: " in card and "dtype: video" in card
    from datasets import Video, load_dataset

    loaded = load_dataset(str(out), "media", cache_dir=str(tmp_path / "cache"))
    (split,) = [part for part in loaded.values() if part.num_rows]
    assert split.features["video"] == Video()
    assert split.cast_column("video", Video(decode=False))[0]["video"]["bytes"] == clip.read_bytes()


def test_the_recipe_is_kept_and_names_no_place(tmp_path: Path, make: Any, write_run: Any) -> None:
    query = make.query("alone", "v1")
    pair = make.pair(query, "v1")
    splits = tmp_path / "mine.csv"
    splits.write_text("id,split\nv1,test\n")
    evidence = {"paddle_det": str(tmp_path / "det"), "speech": "server:whisper@http://me:secret@10.0.0.7/v1"}
    changed = Settings.model_validate({"export": {"splits": str(splits), "licence": "mit"}, "evidence": evidence})
    out = export(
        write_run(tmp_path / "run", [make.video("v1"), query, pair, make.judgment(pair, 1)]), tmp_path / "o", changed
    )
    told = json.loads((out.out / "hardcut.json").read_text())
    assert told["settings"]["export"]["splits"] == "mine.csv" and told["gate"]["references"] == "passed"
    assert told["settings"]["evidence"]["speech"] == "server:whisper"
    card = (out.out / "README.md").read_text()
    assert "evidence.paddle\\_det = det" in card and "media." not in card
    for text in (card, (out.out / "hardcut.json").read_text()):
        assert str(tmp_path) not in text and "10.0.0.7" not in text and "secret" not in text
    assert out.rows["pairs"] == {"test": 1}


def test_easy_queries_are_left_out_with_what_was_rewritten_from_them(
    tmp_path: Path, make: Any, write_run: Callable[..., Path]
) -> None:
    """The first stage puts every other query's video first and the rest's tenth, before eight others."""
    records: list[Any] = [make.video(f"v{i}") for i in range(10)]
    for i in range(10):
        query = make.query(f"{'abcdefghij'[i] * 7} rolls over the hill {i * 7919}", f"v{i}", facets=())
        rank = 1 if i % 2 else 10
        hit = FirstStage(run="bm25", rank=rank, score=1.0)
        pair = make.pair(query, f"v{i}").model_copy(update={"first_stage": (hit,)})
        turned = make.query(
            f"{'abcdefghij'[i] * 7} rolls back", f"v{i}", variant="reversed", parent_query_id=query.query_id
        )
        fields = {"video_id": f"v{i}", "origins": ("counterfactual",), "expected": "no"}
        counter = Pair.create(query_id=turned.query_id, **fields)
        records += [query, pair, make.judgment(pair, 1), turned, counter, make.judgment(counter, 0)]
    run = write_run(tmp_path / "run", records)
    asked = Settings(export=SETTINGS.export.model_copy(update={"min_difficulty": 0.5}))
    found = export(run, tmp_path / "out", asked)
    dataset = Dataset(found.out)
    kept = [row for _, row in dataset.rows("queries")]
    assert {row["source_video_id"] for row in kept} == {"v0", "v2", "v4", "v6", "v8"} and len(kept) == 10
    assert {row["difficulty"]["score"] for row in kept if row["variant"] == "original"} == {0.9}
    assert found.left_out == {"too_easy": 10}
    told = [json.loads(line) for line in (tmp_path / "out" / "left_out.jsonl").read_text().splitlines()]
    assert len(told) == 10 and all("less than 0.5" in line["detail"] for line in told)
    assert {row["video_id"] for _, row in dataset.rows("pairs")} == {row["source_video_id"] for row in kept}
    assert "too_easy 10" in (found.out / "README.md").read_text().replace("\\", "")
    assert len({row["video_id"] for _, row in dataset.rows("diagnostic")}) == 5


def test_of_a_kind_a_share_is_kept_and_children_go_with_their_parent(
    tmp_path: Path, make: Any, write_run: Callable[..., Path]
) -> None:
    records: list[Any] = [make.video(f"v{i}") for i in range(60)]
    for i in range(60):
        kind = "event" if i % 2 else "moment"
        query = make.query(f"{digest(i)} before {digest(-i - 1)}", f"v{i}", facets=(), kind=kind)
        fields = {"variant": "reversed", "parent_query_id": query.query_id, "kind": "temporal"}
        turned = make.query(f"{digest(-i - 1)} before {digest(i)}", f"v{i}", **fields)
        for one, grade in ((query, 1), (turned, 0)):
            pair = make.pair(one, f"v{i}")
            records += [one, pair, make.judgment(pair, grade)]
    run = write_run(tmp_path / "run", records)
    mix = Settings.model_validate({"export": {"mix": {"moment": 0.5}, "licence": "mit"}})
    found = export(run, tmp_path / "out", mix)
    kept = [row for _, row in Dataset(found.out).rows("queries")]
    kinds = Counter(row["kind"] for row in kept)
    assert kinds["event"] == 30 and 8 <= kinds["moment"] <= 22 and kinds["temporal"] == 30 + kinds["moment"]
    assert {row["parent_query_id"] for row in kept} - {None} <= {row["query_id"] for row in kept}
    told = [json.loads(line) for line in (found.out / "left_out.jsonl").read_text().splitlines()]
    assert found.left_out == {"mix": len(told)} and len(told) == 2 * (30 - kinds["moment"])
    assert json.loads((found.out / "hardcut.json").read_text())["settings"]["export"]["mix"]["moment"] == 0.5
    assert "export.mix.moment = 0.5" in (found.out / "README.md").read_text()
