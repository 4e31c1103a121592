"""Whether the tables hold together and have something to learn from."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count, by_limit, could_not_look
from hardcut.publish.dataset import CONTRADICTION, FILES, LEFT_OUT, Dataset, verify
from hardcut.publish.media import GONE
from hardcut.publish.splits import SPLITS, split_shares
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import TURNED, Dropped
from hardcut.schemas.settings import Settings

_AGAIN = "export the run again; where it stays, run `hardcut run` to its end first"


@check(
    {
        "queries": ("query_id",),
        "corpus": ("video_id",),
        "pairs": ("pair_id", "query_id", "video_id", "label"),
        "captions": ("caption_id", "video_id"),
        "qrels": ("query_id", "video_id", "grade"),
        "groups": ("group_id", "query_id", "positive", "negatives"),
    },
    "rows that name what is not there, ids twice, files unlike their digests",
    "`hardcut.json` lists no digests",
    may_be_empty=("captions", "groups"),
    marker=(FILES, "rows"),
)
def references(dataset: Dataset, settings: Settings) -> CheckResult:
    """Rows that name a query, a video or a pair that is not there, ids that are there twice, qrels unlike the pairs,
    and files that are missing or not as `hardcut.json` lists them."""
    found = Findings()
    dataset.refuse_incomplete()
    found.extend(verify(dataset.folder))
    ids = _ids(dataset, found)
    _look_at_pairs(dataset, ids, found)
    found.extend(
        f"captions: {row['caption_id']} names the video {row['video_id']}, which is not there"
        for _, row in dataset.rows("captions", ("caption_id", "video_id"))
        if row["video_id"] not in ids["corpus"]
    )
    for _, row in dataset.rows("groups", ("group_id", "query_id", "positive", "negatives")):
        members = [member for member in (row["positive"], *row["negatives"]) if member is not None]
        if row["query_id"] not in ids["queries"] or any(member["pair_id"] not in ids["pairs"] for member in members):
            found.add(f"groups: {row['group_id']} names a query or a pair that is not there")
    return by_count(
        "references", found, "every row names rows that are there", "{count} references lead nowhere", _AGAIN
    )


def _ids(dataset: Dataset, found: Findings) -> dict[str, set[str]]:
    """The ids of each config. Reports ids that are there twice."""
    ids: dict[str, set[str]] = {}
    for config, key in (
        ("queries", "query_id"),
        ("corpus", "video_id"),
        ("pairs", "pair_id"),
        ("captions", "caption_id"),
    ):
        seen: set[str] = set()
        for _, row in dataset.rows(config, (key,)):
            if row[key] in seen:
                found.add(f"{config}: {row[key]} is there twice")
            seen.add(row[key])
        ids[config] = seen
    return ids


def _look_at_pairs(dataset: Dataset, ids: Mapping[str, set[str]], found: Findings) -> None:
    """Finds pairs that name what is not there, and qrels that are not what the pairs say."""
    labels: dict[tuple[str, str], int] = {}
    for _, row in dataset.rows("pairs", ("pair_id", "query_id", "video_id", "label")):
        if row["query_id"] not in ids["queries"]:
            found.add(f"pairs: {row['pair_id']} names the query {row['query_id']}, which is not there")
        if row["video_id"] not in ids["corpus"]:
            found.add(f"pairs: {row['pair_id']} names the video {row['video_id']}, which is not there")
        labels[row["query_id"], row["video_id"]] = row["label"]
    judged = 0
    for _, row in dataset.rows("qrels", ("query_id", "video_id", "grade")):
        judged += 1
        if labels.get((row["query_id"], row["video_id"])) != row["grade"]:
            found.add(f"qrels: {row['query_id']} {row['video_id']} {row['grade']} is not what the pairs say")
    if judged != len(labels):
        found.add(f"qrels: {judged} rows for {len(labels)} pairs")


@check(
    {"groups": ("group_id", "query_id", "positive", "negatives"), "pairs": ("query_id", "variant")},
    "training groups without a positive or enough trusted negatives; training queries that make none",
    "no training query was judged",
    may_be_empty=("groups",),
)
def groups(dataset: Dataset, settings: Settings) -> CheckResult:
    """Training groups without a positive or a trusted negative, and training queries that make no group."""
    found = Findings()
    grouped: set[str] = set()
    for _, row in dataset.rows("groups", ("group_id", "query_id", "positive", "negatives")):
        grouped.add(row["query_id"])
        trusted = sum(negative["negative"] == "trusted" for negative in row["negatives"])
        if row["positive"] is None or not row["positive"]["label"]:
            found.add(f"{row['group_id']}: no positive")
        elif any(negative["label"] > 0 for negative in row["negatives"]):
            found.add(f"{row['group_id']}: a positive among the negatives")
        elif trusted < settings.export.trusted_per_group:
            found.add(f"{row['group_id']}: {trusted} trusted negatives of {settings.export.trusted_per_group}")
    advice = "judge more negatives, or raise `judgments.trusted_below` where the distribution of margins allows it"
    if found.count:
        return by_count("groups", found, "", "{count} training groups lack a positive or a trusted negative", _AGAIN)
    judged = {
        row["query_id"]
        for split, row in dataset.rows("pairs", ("query_id", "variant"))
        if split == "train" and row["variant"] not in TURNED  # these meet few videos
    }
    if not judged:
        return could_not_look("groups", "no training query was judged", _AGAIN)
    lacking = sorted(judged - grouped)
    for query_id in lacking:
        found.add(f"{query_id}: no positive, or not enough trusted and other negatives")
    share = len(lacking) / len(judged)
    limit = settings.check.without_group
    message = f"{100 * share:.0f} % of the judged training queries make no group (at most {100 * limit:g} %)"
    return by_limit("groups", share, limit, message, advice, found)


@check(
    {"pairs": ("query_id", "query", "video_id", "label", "logit_margin", "label_source"), "corpus": ("video_id",)},
    "a split with videos or a share and no pair, or with one label; one margin, query or video in most pairs",
    "no teacher's label has a margin",
)
def degenerate(dataset: Dataset, settings: Settings) -> CheckResult:
    """A split without pairs or with one label only, margins that are all one value, pairs judged twice, one query text
    or one video in most of the pairs."""
    found = Findings()
    labels: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    margins: Counter[float] = Counter()
    seen: set[tuple[str, str]] = set()
    texts: Counter[str] = Counter()
    videos: Counter[str] = Counter()
    taught = False
    columns = ("query_id", "query", "video_id", "label", "logit_margin", "label_source")
    for split, row in dataset.rows("pairs", columns):
        taught |= row["label_source"] == "teacher"
        labels[split][row["label"] > 0] += 1
        texts[row["query"]] += 1
        videos[row["video_id"]] += 1
        if row["logit_margin"] is not None and len(margins) < 1000:
            margins[row["logit_margin"]] += 1
        if (row["query_id"], row["video_id"]) in seen:
            found.add(f"the pair {row['query_id']} {row['video_id']} is there twice")
        seen.add((row["query_id"], row["video_id"]))
    whole = len(seen)
    corpus = Counter(split for split, _ in dataset.rows("corpus", ("video_id",)))
    for split in _expected(corpus, settings):
        count = labels[split].total()
        if count == 0:
            found.add(f"{split}: no pair")
        elif max(labels[split].values()) / count > settings.check.one_label and count > 1:
            found.add(f"{split}: {max(labels[split].values()):,} of {count:,} labels are the same")
    if len(margins) == 1 and margins.total() > 1:
        found.add(f"every margin is {next(iter(margins))}")
    for name, counts in (("query text", texts), ("video", videos)):
        if whole >= 20 and counts.most_common(1)[0][1] > whole / 2:
            found.add(f"one {name} is in more than half of the pairs: {counts.most_common(1)[0][0]!r}")
    if taught and not margins and not found.count:
        advice = "ask a server that gives log-probabilities"
        return could_not_look("degenerate", "no teacher's label has a margin: whether it varies, nobody knows", advice)
    return by_count(
        "degenerate", found, "both labels in every split, no constant margin, nothing repeated",
        "{count} distributions have nothing to learn from", "add videos or queries, or change the shares of the splits",
    )  # fmt: skip


def _expected(corpus: Mapping[str, int], settings: Settings) -> list[str]:
    """The splits that must have pairs: those with videos, and those whose share of the videos is two or more."""
    shares = split_shares(settings.export)
    videos = sum(corpus.values())
    return [split for split in SPLITS if split in corpus or shares.get(split, 0) * videos >= 2]


@check(
    {"pairs": ("query_id", "sha256", "label")},
    "one file, under several ids, that is judged to answer a query and not to answer it",
    f"`{LEFT_OUT}` is missing",
)
def contradictions(dataset: Dataset, settings: Settings) -> CheckResult:
    """A file that is judged both ways for one query. Its pairs are left out of the dataset by name."""
    found = Findings()
    labels: dict[tuple[str, str], bool] = {}
    for _, row in dataset.rows("pairs", ("query_id", "sha256", "label")):
        key, answers = (row["query_id"], row["sha256"]), row["label"] > 0
        if labels.setdefault(key, answers) != answers:
            found.add(f"{row['query_id']}: the file {row['sha256'][:12]} answers it and does not")
    left_out = dataset.folder / LEFT_OUT
    if not left_out.exists():
        return could_not_look("contradictions", f"{left_out} is missing, which lists them", _AGAIN)
    details = (record.detail for record in read_records(left_out, Dropped) if record.reason == CONTRADICTION)
    found.extend(dict.fromkeys(details))
    return by_count(
        "contradictions", found, "no file is judged both ways for a query",
        "{count} times a file is judged both ways for a query",
        "judge the copies alike (`hardcut review`), or remove one of them from the collection",
    )  # fmt: skip


@check({"pairs": ("label_source", "exact")}, "teachers' labels without exact confidence")
def exactness(dataset: Dataset, settings: Settings) -> CheckResult:
    """Teachers' labels without exact confidence."""
    counts: Counter[bool] = Counter()
    for _, row in dataset.rows("pairs", ("label_source", "exact")):
        if row["label_source"] == "teacher":
            counts[bool(row["exact"])] += 1
    share = counts[False] / counts.total() if counts else 0.0
    limit = settings.check.inexact
    message = f"{100 * share:.0f} % of the teachers' labels lack exact confidence (at most {100 * limit:g} %)"
    advice = "ask a server that gives the log-probabilities of both yes and no (vLLM with enough logprobs)"
    return by_limit("exactness", share, limit, message, advice)


@check(
    {"corpus": ("video_id", "video_path", "sha256", "size_bytes"), "media": ("video_id", "video", "sha256")},
    "videos that cannot be found again, files that were missing or changed when clips were packed",
    f"`{LEFT_OUT}` is missing",
    may_be_empty=("media",),
)
def media(dataset: Dataset, settings: Settings) -> CheckResult:
    """Videos that cannot be found again: no digest, an unsafe path; a file that was not there, or was another, when its
    clip was to be packed; a packed clip that is not the file it should be."""
    found, digests = Findings(), {}
    for _, row in dataset.rows("corpus", ("video_id", "video_path", "sha256", "size_bytes")):
        path = PurePosixPath(row["video_path"] or "")
        digests[row["video_id"]] = row["sha256"]
        if not row["video_path"] or path.is_absolute() or ".." in path.parts or "\\" in str(path):
            found.add(f"{row['video_id']}: {row['video_path']!r} is no path inside the collection")
        elif len(row["sha256"] or "") != 64 or not row["size_bytes"]:
            found.add(f"{row['video_id']}: no digest or no bytes")
    left_out = dataset.folder / LEFT_OUT
    if not left_out.exists():
        return could_not_look("media", f"{left_out} is missing, which says what could not be packed", _AGAIN)
    for record in read_records(left_out, Dropped):
        if record.reason == GONE:
            found.add(f"{record.item}: {record.detail}")
    for _, row in dataset.rows("media", ("video_id", "video", "sha256")):
        content = (row["video"] or {}).get("bytes") or b""
        if hashlib.sha256(content).hexdigest() != digests.get(row["video_id"]):
            found.add(f"{row['video_id']}: the packed clip is not the file that the corpus names")
    return by_count(
        "media", found, "every video has a path and a digest", "{count} videos cannot be found again",
        "run `hardcut run` on the whole collection again, then export it with the folder that it is in",
    )  # fmt: skip
