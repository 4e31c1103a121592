"""Groups never straddle, shares hold by kind, and a given split is kept."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardcut.publish.given_splits import QueryRef, read_splits
from hardcut.publish.same_wording import same_wording
from hardcut.publish.similar import DisjointSets, similar_pairs
from hardcut.publish.splits import (
    Splits,
    may_use,
    near_duplicates,
    plan_splits,
    split_groups,
    video_groups,
)
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Video

SETTINGS = ExportSettings()


def video(video_id: str, content: str | None = None, **metadata: Any) -> Video:
    return Video(
        video_id=video_id, path=f"{video_id}.mp4", sha256=digest(content or video_id), size_bytes=1, duration_s=1,
        fps=1, width=1, height=1, codec="h264", video_streams=1, has_audio=False, complete=True, metadata=metadata,
    )  # fmt: skip


def plan(videos: list[Video], queries: dict[str, QueryRef] | None = None, **fields: Any) -> Splits:
    relevant = fields.pop("relevant", {})
    links = fields.pop("links", ())
    return plan_splits(videos, queries or {}, relevant, ExportSettings(**fields), links)


@st.composite
def collections(draw: st.DrawFn, least: int = 1) -> list[Video]:
    number = draw(st.integers(least, 40))
    contents = st.sampled_from([f"c{i}" for i in range(30)])
    values = st.one_of(st.none(), st.sampled_from(["flood", "fire", " flood", "", 7, "7"]))
    return [video(f"v{i}", draw(contents), event=draw(values), source=draw(values)) for i in range(number)]


@settings(deadline=None)
@given(videos=collections(), seed=st.integers(0, 5))
def test_duplicates_events_and_sources_never_straddle(videos: list[Video], seed: int) -> None:
    splits = plan(videos, train=0.5, validation=0.2, seed=seed).videos
    assert set(splits) == {video.video_id for video in videos}
    for key in ("sha256", "event", "source"):
        placed: dict[str, set[str]] = {}
        for video in videos:
            value = video.sha256 if key == "sha256" else str(video.metadata.get(key) or "").strip()
            if value:
                placed.setdefault(value, set()).add(splits[video.video_id])
        assert all(len(found) == 1 for found in placed.values())


@settings(deadline=None)
@given(videos=collections(least=2), order=st.randoms())
def test_the_order_of_the_videos_does_not_matter(videos: list[Video], order: Any) -> None:
    shuffled = list(videos)
    order.shuffle(shuffled)
    assert plan(shuffled).videos == plan(videos).videos


def test_near_duplicate_videos_and_videos_of_near_duplicate_queries_are_one_group() -> None:
    videos = [video(f"v{i}") for i in range(40)]
    text = "A red ball rolls slowly over the wet grass"
    queries = {"a": QueryRef("v3", None, text=text), "b": QueryRef("v9", None, text=f"{text.upper()}!")}
    queries["c"] = QueryRef("v11", None, text="A red ball rolls slowly over the wet grass.s")
    for seed in range(8):
        told = plan(videos, queries, train=0.4, validation=0.3, seed=seed, links=[("v20", "v21"), ("v20", "gone")])
        assert told.groups["v3"] == told.groups["v9"] == told.groups["v11"] != told.groups["v4"]
        assert told.videos["v20"] == told.videos["v21"]
        assert told.queries["a"] == told.queries["b"] == told.queries["c"] == told.videos["v3"]


def test_a_video_of_several_events_joins_them() -> None:
    told = plan([video("v0", event=["fire", "flood"]), video("v1", event="flood"), video("v2", event=" fire ")])
    assert len(set(told.groups.values())) == 1


@pytest.mark.parametrize("seed", range(3))
def test_every_split_gets_its_share_of_videos_and_of_each_kind(seed: int) -> None:
    videos = [video(f"v{i}", event=f"e{i // 3}" if i % 2 else None) for i in range(600)]
    kinds = ["event"] * 5 + ["temporal"] * 2 + ["negation"]
    queries = {f"q{i}": QueryRef(f"v{(i * 7) % 600}", None, kinds[(i * 13) % 8]) for i in range(900)}
    told = plan(videos, queries, train=0.7, validation=0.1, seed=seed)
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert list(told.videos.values()).count(split) / 600 == pytest.approx(share, abs=0.02)
        of_kind = Counter(queries[id].kind for id, found in told.queries.items() if found == split)
        for kind in set(kinds):
            asked = sum(ref.kind == kind for ref in queries.values())
            assert of_kind[kind] / asked == pytest.approx(share, abs=0.02), (split, kind)


def test_another_seed_is_another_split_and_the_same_seed_the_same() -> None:
    videos = [video(f"v{i}") for i in range(60)]
    assert plan(videos, seed=1).videos == plan(videos, seed=1).videos != plan(videos, seed=2).videos


@settings(deadline=None)
@given(number=st.integers(1, 12), seed=st.integers(0, 50))
def test_small_collections_still_fill_every_split_they_can(number: int, seed: int) -> None:
    splits = split_groups({f"g{i}": {"": 1} for i in range(number)}, {}, ExportSettings(seed=seed))
    assert len(set(splits.values())) == min(number, 3)


@settings(deadline=None)
@given(number=st.integers(1, 12))
def test_a_split_without_a_share_stays_empty(number: int) -> None:
    groups = {f"g{i}": {"": 1} for i in range(number)}
    assert set(split_groups(groups, {}, ExportSettings(train=0.8, validation=0.2)).values()) <= {"train", "validation"}
    assert set(split_groups(groups, {}, ExportSettings(train=0.0, validation=0.0)).values()) == {"test"}


def test_a_given_split_is_kept_and_the_rest_of_the_group_follows(tmp_path: Path) -> None:
    videos = [video(f"v{i}", split="val" if i == 5 else "train" if i < 3 else None) for i in range(30)]
    videos += [video("twin", "v5"), video("a", event="fire", split="train"), video("b", event="fire", split="test")]
    videos.append(video("c", event="fire"))
    told = plan(videos).videos
    assert told["v5"] == told["twin"] == "validation" and told["v0"] == told["v1"] == told["v2"] == "train"
    assert (told["a"], told["b"], told["c"]) == ("train", "test", "test")

    file = tmp_path / "splits.csv"
    file.write_text("id,split\nv7,test\nU1,validation\nelsewhere,train\n", encoding="utf-8")
    queries = {"q_1": QueryRef(None, None, external_id="U1"), "q_2": QueryRef("v7", None)}
    kept = plan(videos, queries, splits=str(file))
    assert kept.videos["v7"] == kept.queries["q_2"] == "test" and kept.queries["q_1"] == "validation"


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("s.csv", "id,split\nv1,train\nv1,test\n", "line 3: v1 has a split already"),
        ("s.csv", "id,split\nv1,trian\n", "line 2: 'trian' is no split"),
        ("s.tsv", "video\tsplit\nv1\ttrain\n", "line 2: no id"),
        ("s.jsonl", '{"id": 7, "split": "test"}\n{"id": "x"}\n', "line 2: None is no split"),
        ("s.jsonl", "[]\n", "line 1: not a JSON object"),
        ("s.txt", "", r"\.csv, \.tsv or \.jsonl"),
    ],
)
def test_a_broken_split_file_is_told_by_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_splits(path)


def test_a_split_file_of_another_collection_and_a_bad_field_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("id,split\nx,train\n", encoding="utf-8")
    with pytest.raises(UsageError, match="none of its ids"):
        plan([video("v1")], splits=str(path))
    odd = [video("v1", split="left half", fold="test")]
    with pytest.raises(UsageError, match=r"video v1, metadata field 'split': 'left half' is no split.*split_field"):
        plan(odd)
    assert plan(odd, split_field="fold").videos == {"v1": "test"}


def test_queries_follow_their_source_and_rewrites_their_original() -> None:
    videos = [video("v1", split="train"), video("v2", split="test"), video("v4", split="train")]
    queries = {
        "q1": QueryRef("v1", None),
        "user": QueryRef(None, None),
        "rewrite": QueryRef(None, "user"),
        "tie": QueryRef(None, None),
        "unjudged": QueryRef(None, None),
        "ring": QueryRef(None, "ring"),
    }
    splits = plan(videos, queries, relevant={"user": ["v1", "v2", "v4"], "tie": ["v1", "v2"]}).queries
    assert splits["q1"] == "train" and splits["user"] == splits["rewrite"] == "train" and splits["tie"] == "test"
    assert splits["unjudged"] in {"train", "validation", "test"}


def test_a_video_that_joins_an_event_takes_its_group() -> None:
    old = [video("a", "1", event="flood"), video("b", "2"), video("c", "3", event="fire")]
    groups = video_groups([*old, video("d", "0", event="flood"), video("e", "1")])
    assert groups["a"] == groups["d"] == groups["e"] == "event:flood" and groups["b"] == video_groups(old)["b"]


def test_near_duplicates_share_a_split() -> None:
    videos = [video(f"v{i:02d}", event="flood" if i == 0 else None) for i in range(60)]
    copies = {f"v{i:02d}": f"v{i // 20 * 20:02d}" for i in range(60) if i % 20 < 15}
    told = plan(videos, links=near_duplicates((group, id) for id, group in copies.items()), train=0.4, validation=0.3)
    for first in ("v00", "v20", "v40"):
        assert len({told.videos[id] for id, group in copies.items() if group == first}) == 1
    assert told.groups["v00"] == told.groups["v14"] == "event:flood" != told.groups["v15"]


def test_nothing_held_out_is_used_in_training() -> None:
    assert may_use("train", "train") and not may_use("train", "validation") and not may_use("train", "test")
    assert may_use("validation", "train") and not may_use("validation", "test")
    assert may_use("test", "train") and may_use("test", "validation") and may_use("test", "test")


@pytest.mark.parametrize(
    "other, near",
    [
        ("the man opens the blue door slowly", True),
        ("The man OPENS the blue door, slowly!", True),
        ("the man opens the blue doors slowly", True),
        ("the man closes the blue door slowly", False),
        ("the blue man slowly opens the door", False),
        ("the man opens the red door slowly", False),
    ],
)
def test_which_texts_are_near_duplicates(other: str, near: bool) -> None:
    texts = {"a": "the man opens the blue door slowly", "b": other, "c": "something else altogether", "d": ""}
    assert list(similar_pairs(texts, 0.75)) == ([("a", "b")] if near else [])


@pytest.mark.parametrize(
    "text, other, near",
    [
        ("一个男人打开绿色的门", "一个男人打开了绿色的门", True),
        ("一个男人打开绿色的门", "一个男人打开红色的门", False),
        ("一个男人打开绿色的门", "门打开绿色的一个男人", False),
        ("男の人が緑のドアを開ける", "男の人が緑のドアを開けた", True),
        ("남자가 초록색 문을 천천히 연다", "남자가 초록색 문을 천천히 열다", True),
        ("남자가 초록색 문을 천천히 연다", "남자가 초록색 문을 급하게 닫는다", False),
    ],
)
def test_near_duplicates_in_scripts_whose_signs_are_words_or_syllables(text: str, other: str, near: bool) -> None:
    texts = {"a": text, "b": other, "c": "别的什么东西在远处移动"}
    assert [sorted(pair) for pair in similar_pairs(texts, 0.75)] == ([["a", "b"]] if near else [])


@pytest.mark.parametrize(
    "text, other, near",
    [
        ("ผู้ชายใส่เสื้อสีน้ำเงินเปิดประตูสีเขียวแล้วเดินเข้าไปในห้องนอน", "ผู้ชายใส่เสื้อสีน้ำเงินก็เปิดประตูสีเขียวแล้วเดินเข้าไปในห้องนอน", True),
        ("ผู้ชายถือเสื้อสีแดงผืนใหญ่", "ผู้ชายถือเสื่อสีแดงผืนใหญ่", False),  # a shirt, a mat
        ("လူတစ်ယောက်တံခါးအစိမ်းကိုဖွင့်ပြီးအခန်းထဲဝင်သည်", "လူတစ်ယောက်တံခါးအစိမ်းကိုဖွင့်ပြီးအခန်းထဲကိုဝင်သည်", True),
        ("लड़की गेंद फेंकती है और दौड़ती है", "लड़का गेंद फेंकता है और दौड़ता है", False),  # a girl, a boy
        ("كَتَبَ الوَلَدُ الدَّرْسَ عَلَى السَّبُّورَة", "كتب الولد الدرس على السبورة", True),
        ("ＡＢＣ ニュース速報", "abc ﾆｭｰｽ速報", True),
        ("İSTANBUL'DA BİR KAPI", "istanbul'da bir kapi", True),
    ],
)
def test_near_duplicates_where_marks_are_letters_width_and_case_are_not(text: str, other: str, near: bool) -> None:
    texts = {"a": text, "b": other, "c": "something else altogether"}
    assert [sorted(pair) for pair in similar_pairs(texts, 0.75)] == ([["a", "b"]] if near else [])


def test_six_hundred_spellings_of_one_text_are_one_cluster() -> None:
    slips = [one + two for one in "abcdefghijklmnopqrstuvwxy" for two in "abcdefghijklmnopqrstuvwxy"]
    texts = {slip: f"a rather long query of one and the same template{slip}" for slip in slips}
    assert len(list(similar_pairs(texts, 0.75))) == 624


def test_clusters_are_those_of_comparing_every_text_with_every_other() -> None:
    random = Random(7)
    words = [f"{a}{b}{c}" for a in ("tra", "mel", "kor") for b in "aeiou" for c in ("ntel", "rdas", "")]
    texts = {}
    for number in range(400):
        told = random.choice(list(texts.values()) or [""]).split() if random.random() < 0.5 else []
        told = told or ["the", "text", *random.sample(words, 4), "is", "read", "before", random.choice(words)]
        at = random.randrange(2, len(told))
        told[at] = random.choice([told[at], f"{told[at]}s", told[at][1:] or "x", random.choice(words), "7", "8"])
        texts[f"q{number:03}"] = " ".join(told)
    exact, found = DisjointSets(), DisjointSets()
    for one, other in combinations(texts, 2):
        pieces = [{f" {texts[id]} "[at : at + 4] for at in range(len(texts[id]) - 1)} for id in (one, other)]
        alike = len(pieces[0] & pieces[1]) / len(pieces[0] | pieces[1])
        if alike >= 0.75 and same_wording(texts[one], texts[other]):
            exact.join(one, other)
    for one, other in similar_pairs(texts, 0.75):
        found.join(one, other)
    clusters = [[sets.root(id) for id in texts] for sets in (exact, found)]
    assert clusters[0] == clusters[1]
    assert 100 < len(set(clusters[0])) < 350


@given(st.text("abc", min_size=8, max_size=11), st.text("abc", min_size=8, max_size=11))
def test_two_slips_make_no_other_word_and_three_do(here: str, there: str) -> None:
    row = list(range(len(there) + 1))  # Levenshtein, by its table
    for place, letter in enumerate(here, 1):
        corner, row[0] = row[0], place
        for column, other in enumerate(there, 1):
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, corner + (letter != other))
    ending = abs(len(here) - len(there)) <= 2 and (here.startswith(there) or there.startswith(here))
    assert same_wording(here, there) == (row[-1] <= 2 or ending)


@pytest.mark.parametrize(
    "text, other, same",
    [
        ("the runner with number {} comes in ahead of all the others", "7 8", False),
        ("a {} ball rolls over the wet grass and comes to rest beside the tree", "red blue", False),
        ("a ball rolls over the wet grass and comes to rest {} the tree", "beside behind", False),
        ("{} woman pours water into a tall glass and puts the jug away", "a the", True),
        ("the crowd of people is {} while the band plays its last song", "cheering cheerring", True),
        ("一个穿着绿色外套的{}打开了一扇很高的门然后走进房间里面去", "男人 女人", False),
    ],
)
def test_wordings_are_one_where_the_same_video_would_answer_both(text: str, other: str, same: bool) -> None:
    here, there = (text.format(word) for word in other.split())
    near = similar_pairs({"a": here, "b": there}, 0.6)
    assert list(near) == ([("a", "b")] if same else [])


def test_videos_whose_queries_differ_by_a_number_get_the_shares_that_were_asked_for() -> None:
    videos = [video(f"v{i}") for i in range(100)]
    text = "the runner with the number {} on his back comes in ahead of all the others"
    queries = {f"q{i}": QueryRef(f"v{i}", None, text=text.format(i)) for i in range(100)}
    queries |= {f"o{i}": QueryRef(f"v{i}", None, text=digest(i)) for i in range(100)}
    told = plan(videos, queries)
    assert Counter(told.videos.values()) == {"train": 80, "validation": 10, "test": 10} and not told.leaks


def test_official_splits_of_videos_hold_for_their_queries_and_leaks_leave_the_earlier_split() -> None:
    """As in lists of captions: "a man is talking about something" is said of many videos, of test and of training."""
    videos = [video(f"v{i}", split="test" if i < 100 else "train") for i in range(500)]
    said = ("a man is talking about a car", "a man is talking about cars", "a woman is cooking in a kitchen")
    queries, relevant = {}, {}
    for i in range(500):
        for n in range(2):
            queries[f"q{i}.{n}"] = QueryRef(
                None, None, text=said[i % 3] if n == 0 else f"{digest(i)} and {digest(i, n)}"
            )
            relevant[f"q{i}.{n}"] = [f"v{i}"]
    told = plan(videos, queries, relevant=relevant)
    assert all(told.queries[id] == ("test" if int(id[1:].split(".")[0]) < 100 else "train") for id in queries)
    expected = {f"q{i}.0" for i in range(100, 500)}
    assert set(told.leaks) == expected and all(told.queries[id] == "test" for id in told.leaks.values())
    left = {f"{told.queries[id]} {id}": ref.text for id, ref in queries.items() if id not in told.leaks}
    assert all(one.split()[0] == two.split()[0] for one, two in similar_pairs(left, 0.75))


def test_a_query_keeps_its_split_and_its_family_follows() -> None:
    """A test query that nobody judged must not train; nor must what was rewritten from it."""
    videos = [video(f"v{i}") for i in range(30)]
    queries = {f"q{i}": QueryRef(None, None, text=digest(i), split="test") for i in range(20)}
    queries |= {f"q{i}r": QueryRef(None, f"q{i}", text=f"{digest(i)[:40]} {digest(i, 1)[:30]}") for i in range(20)}
    queries["judged"] = QueryRef(None, None, text="one that is relevant elsewhere", split="validation")
    told = plan(videos, queries, relevant={"judged": ["v1", "v2", "v3"]}, train=0.9, validation=0.1)
    assert {told.queries[f"q{i}{end}"] for i in range(20) for end in ("", "r")} == {"test"}
    assert told.queries["judged"] == "validation"


_WHO = ("a man", "a woman", "a boy", "a girl", "two men", "a chef", "a player", "a band")
_DOES = ("is singing a song", "is cooking food", "is playing a guitar", "is talking", "plays with a dog", "is driving")
_WHERE = ("on a stage", "in a kitchen", "in a room", "outside", "in a car")
_FORMS = ("{} {} {}", "{} {} {}.", "{} {} {} ", "{}  {} {}!")
"""One wording as people type it: with a full stop, a blank, a capital."""


@pytest.mark.parametrize("by", ["video", "query"])
def test_thousands_of_official_queries_in_common_words_stay_where_they_are(by: str) -> None:
    """Lists like MSR-VTT's (videos have the split) and QVHighlights' (queries have it): of 3,720 queries 240 wordings.
    No test query moves, and what is worded like a later one leaves its own split by name."""
    words = [(who, does, where) for who in _WHO for does in _DOES for where in _WHERE]
    places: list[Any] = ["train"] * 6 + ["validation"] + ["test"] * 3
    videos, queries, relevant = [], {}, {}
    for number in range(372):
        split = places[number % 10]
        videos.append(video(f"v{number}", **({"split": split} if by == "video" else {})))
        for each in range(10):
            text = _FORMS[(number + each) % 4].format(*words[(number * 7 + each * 31) % len(words)])
            queries[f"q{number}-{each}"] = QueryRef(
                None, None, text=text.capitalize() if each % 2 else text, split=split if by == "query" else None
            )
            relevant[f"q{number}-{each}"] = [f"v{number}"]
    began = process_time()
    found = plan(videos, queries, relevant=relevant)
    assert process_time() - began < 30
    official = {id: places[int(id[1:].split("-")[0]) % 10] for id in queries}
    assert len(queries) == 3720 and {id for id, split in official.items() if found.queries[id] != split} == set()
    spelled = {id: " ".join(ref.text.lower().strip(".! ").split()) for id, ref in queries.items()}
    later = {"train": ("validation", "test"), "validation": ("test",), "test": ()}
    worded = {split: {spelled[id] for id in queries if official[id] == split} for split in later}
    leaks = {id for id in queries if any(spelled[id] in worded[split] for split in later[official[id]])}
    assert leaks <= found.leaks.keys() and len(leaks) > 1000
    assert not any(official[id] == "test" for id in found.leaks), "a test query is never left out"
    assert set(found.videos.values()) == set(places) or by == "query"
