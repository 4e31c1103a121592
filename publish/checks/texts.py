"""Whether the triplets of texts are what an embedding model may learn from."""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count, by_limit, could_not_look
from hardcut.publish.dataset import Dataset
from hardcut.publish.similar import normalised_text
from hardcut.publish.splits import SPLITS
from hardcut.report.statistics.shortcuts import is_sampled
from hardcut.report.statistics.sides import FEWEST, Sides, audit
from hardcut.schemas.settings import Settings

_TEXTS = ("anchor", "positive", "hard_negative")
_ROW = ("id", "set_id", "nuance", *_TEXTS, "video_id")
_AGAIN = "export the run again: sets that are not whole, and texts of two splits, are left out"


@check(
    {"triplets": _ROW, "corpus": ("video_id",)},
    "texts of triplets in two splits or twice in one triplet, videos that are not in their split, and the positive told"
    " from the hard negative by words, letters or length alone",
    f"sets that are not balanced, and fewer than {FEWEST} triplets to tell by",
    may_be_empty=("triplets", "corpus"),  # of texts alone there is none
)
def triplets(dataset: Dataset, settings: Settings) -> CheckResult:
    """Triplets that leak or say the same thing twice; and whether text alone tells positives, which it cannot where
    each text of a set is as often a positive as a hard negative."""
    splits = {row["video_id"]: split for split, row in dataset.rows("corpus", ("video_id",))}
    found, of_text = Findings(), dict[bytes, str]()
    count, whole = 0, sum(dataset.count("triplets", split) for split in dataset.splits("triplets"))
    leaning: defaultdict[str, int] = defaultdict(int)
    pairs: list[Sides] = []
    for split, row in dataset.rows("triplets", _ROW):
        count += 1
        plain = {name: normalised_text(row[name]) or row[name] for name in _TEXTS}
        if len(set(plain.values())) < len(_TEXTS):
            found.add(f"{row['id']}: two of its texts are the same: {row['anchor']!r}")
        for text in plain.values():
            other = of_text.setdefault(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), split)
            if other != split:
                found.add(f"{row['id']} of {split}: {text!r} is in {other} too")
        video = row["video_id"]
        if video is not None and (video not in splits or SPLITS.index(splits[video]) > SPLITS.index(split)):
            found.add(f"{row['id']} of {split}: its video {video} is in {splits.get(video, 'no split')}")
        for text, sign in ((plain["positive"], 1), (plain["hard_negative"], -1)):
            leaning[f"{row['set_id']} {text}"] += sign
        if is_sampled(row["set_id"], whole):
            pairs.append(Sides(row["id"], row["positive"], row["hard_negative"], row["set_id"]))
    if found.count:
        return by_count("triplets", found, "", "{count} triplets leak or say the same twice", _AGAIN)
    if not count:
        return CheckResult("triplets", "passed", "there are no triplets")
    if not any(leaning.values()):
        message = f"each text of {count:,} triplets is as often a positive as a hard negative, so that it tells nothing"
        return CheckResult("triplets", "passed", message, value=0.5, limit=0.5)
    told_by = audit(pairs)
    if told_by is None:
        return could_not_look("triplets", f"{count} triplets are too few to tell: {FEWEST} are needed", _AGAIN)
    name, rate = told_by.worst
    limit = 0.5 + told_by.reach
    message = f"{name} tell {rate:.2f} of the positives from their hard negatives (chance reaches {limit:.2f})"
    return by_limit("triplets", rate, limit, message, _AGAIN)
