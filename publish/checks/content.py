"""What must not be published: other people's rights, other people's data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count
from hardcut.publish.checks.telephone import FEWEST, need_phonenumbers, telephone_numbers
from hardcut.publish.dataset import Dataset, Row
from hardcut.publish.licences import allows_redistribution
from hardcut.publish.withheld import KINDS, WITHHELD, counts, withheld_of
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import Settings

_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(  # before and after any of these may stand a letter of a script without spaces
    r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]{1,64}@(?:[A-Za-z0-9_-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_])"
)
_CARD = re.compile(r"(?<![A-Za-z0-9_.])\d(?:[ -]?\d){12,18}(?![A-Za-z0-9_])")


@check(
    {"corpus": ("video_id",), "queries": ("query_id",), "pairs": ("pair_id", "query_id", "video_id")},
    "a video, query or pair that reviewers' flags keep out: unsafe, personal or broken",
    "an earlier version made the dataset",
    marker=(WITHHELD,),
)
def flagged(dataset: Dataset, settings: Settings) -> CheckResult:
    """Whether anything that reviewers' flags keep out is in the dataset all the same."""
    kept, found = withheld_of(dataset), Findings()
    names = {"videos": "video_id", "queries": "query_id", "pairs": "pair_id"}
    for config, kinds in (("corpus", ("videos",)), ("queries", ("queries",)), ("pairs", KINDS)):
        columns = [names[kind] for kind in kinds]
        for _, row in dataset.rows(config, columns):
            for kind in kinds:
                reason = kept[kind].get(digest(row[names[kind]]))
                if reason is not None:
                    found.add(f"{config}: {row[names[kind]]} is flagged as {reason}")
    return by_count(
        "flagged", found, f"nothing that reviewers flagged is in it ({counts(kept)} kept out)",
        "{count} rows hold what reviewers flagged", "export the run again",
    )  # fmt: skip


@check(
    {"corpus": ("video_id", "licence"), "media": ("video_id",)},
    "no licence; a packed clip whose licence does not let it be passed on",
    may_be_empty=("media",),
    marker=("settings",),
)
def licence(dataset: Dataset, settings: Settings) -> CheckResult:
    """A dataset without a licence; a packed clip whose licence does not let it be passed on."""
    found = Findings()
    if not dataset.marker.get("settings", {}).get("export", {}).get("licence"):
        found.add("the dataset itself has no licence")
    licences = {row["video_id"]: row["licence"] for _, row in dataset.rows("corpus", ("video_id", "licence"))}
    for _, row in dataset.rows("media", ("video_id",)):
        given = licences.get(row["video_id"])
        if not allows_redistribution(given):
            found.add(f"{row['video_id']} is packed, and its licence is {given or 'not given'}")
    advice = "set `export.licence`; pack only clips whose metadata has an open `licence`"
    return by_count("licence", found, "a licence, and none broken", "{count} licences are missing or broken", advice)


@check(
    {
        "queries": ("query_id", "query", "facets"),
        "captions": ("caption_id", "caption", "short", "claims"),
        "corpus": ("video_id", "video_path", "licence", "speech", "metadata"),
        "pairs": ("pair_id", "reasoning"),
        "triplets": ("id", "anchor", "positive", "hard_negative"),
    },
    "mail addresses and payment cards, by pattern, telephone numbers, by the plans of 33 countries, in every text; not"
    " names or faces",
    may_be_empty=("captions", "triplets"),
)
def personal_data(dataset: Dataset, settings: Settings) -> CheckResult:
    """Mail addresses, telephone numbers and payment cards in any text that is published."""
    need_phonenumbers()
    found = Findings()
    for where, text in _texts(dataset):
        for kind, value in personal(text):
            found.add(f"{where}: {kind} {_masked(value)}")
    return by_count(
        "personal_data", found, "no mail address, telephone number or payment card by their forms",
        "{count} texts look like personal data",
        "look at them; remove the queries or the evidence, or allow it where they are public (a shop's sign)",
    )  # fmt: skip


def personal(text: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of what looks like personal data in a text."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield "mail address", match.group()
    if len(_DIGIT.findall(text)) < FEWEST:
        return
    cards = [match.group() for match in _CARD.finditer(text) if luhn(match.group())]
    yield from (("payment card", card) for card in cards)
    for value in telephone_numbers(text):
        if not any(value in card for card in cards):
            yield "telephone number", value


def luhn(number: str) -> bool:
    """Whether the digits of a number end in the right check digit (ISO/IEC 7812-1), and are not all the same."""
    digits = [int(char) for char in number if char.isdigit()]
    if len(set(digits)) < 2:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _masked(value: str) -> str:
    """Enough to find it again, without publishing it in a report."""
    return f"{value[:3]}{'*' * (len(value) - 3)}"


def _texts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    def rows(config: str, key: str, *columns: str) -> Iterator[tuple[str, Row]]:
        return ((f"{config} {row[key]}", row) for _, row in dataset.rows(config, (key, *columns)))

    for where, row in rows("queries", "query_id", "query", "facets"):
        yield where, row["query"]
        yield from ((where, facet["text"]) for facet in row["facets"])
    for where, row in rows("captions", "caption_id", "caption", "short", "claims"):
        yield where, row["caption"]
        yield where, row["short"] or ""
        yield from ((where, claim["text"]) for claim in row["claims"] if claim["text"] not in row["caption"])
    for where, row in rows("corpus", "video_id", "video_path", "licence", "speech", "metadata"):
        yield where, " ".join(_EMAIL.findall(row["video_path"]))  # cameras name files by digits
        yield where, row["licence"] or ""
        yield where, row["speech"] or ""
        yield from ((where, entry["value"]) for entry in row["metadata"])
    for where, row in rows("triplets", "id", "anchor", "positive", "hard_negative"):
        yield from ((where, row[name]) for name in ("anchor", "positive", "hard_negative"))
    for where, row in rows("pairs", "pair_id", "reasoning"):
        yield where, row["reasoning"] or ""
