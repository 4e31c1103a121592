"""What must not be published: other people's rights, other people's data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_count
from hardcut.publish.dataset import Dataset, Row
from hardcut.publish.licences import allows_redistribution
from hardcut.publish.withheld import KINDS, WITHHELD, counts, withheld_of
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import Settings

LEAST_DIGITS = 9
"""Of a telephone number; a card has more."""
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(  # before and after any of these may stand a letter of a script without spaces
    r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]{1,64}@(?:[A-Za-z0-9_-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_])"
)
_PHONE = re.compile(
    r"(?<![A-Za-z0-9_.,:/-])(?:\+\d{9,15}|\d{10,11}|0\d{2,5}[ /-]\d{5,8}"  # +442079460958, 5551234567, 030/1234567
    r"|(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{2,5}(?:[ .-]\d{2,5}){1,5})(?![A-Za-z0-9_:/]|\.\d)"
)
_NO_PHONE = re.compile(
    r"\d+\.\d+(?: ?[-–] ?\d+\.\d+| \d+\.\d+)+"  # times and measures: 24.367-26.367
    r"|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:\.\d{1,3}){3}"  # 1.234.567.890, 192.168.100.200
    r"|97[89](?:[- ]\d{1,7}){3}[- ]\d"  # ISBN
    r"|[1-9]\d{2,4}(?: \d{3,4}){3,}|[1-9]\d{3}(?: \d{4}){2}"  # places and sizes: 120 340 560 780; 4711 0815 1234
)
_CARD = re.compile(r"(?<![A-Za-z0-9_.])\d(?:[ -]?\d){12,18}(?![A-Za-z0-9_])")
_DATE = re.compile(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}|(?:19|20)\d\d ?- ?(?:19|20)\d\d")


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
    "mail addresses, telephone numbers and payment cards, by pattern, in every text; not names or faces",
    may_be_empty=("captions", "triplets"),
)
def personal_data(dataset: Dataset, settings: Settings) -> CheckResult:
    """Mail addresses, telephone numbers and payment cards in any text that is published."""
    found = Findings()
    for where, text in _texts(dataset):
        for kind, value in personal(text):
            found.add(f"{where}: {kind} {_masked(value)}")
    return by_count(
        "personal_data", found, "no mail address, telephone number or payment card by their patterns",
        "{count} texts look like personal data",
        "look at them; remove the queries or the evidence, or allow it where they are public (a shop's sign)",
    )  # fmt: skip


def personal(text: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of what looks like personal data in a text."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield "mail address", match.group()
    if len(_DIGIT.findall(text)) < LEAST_DIGITS:
        return
    cards = [match.group() for match in _CARD.finditer(text) if luhn(match.group())]
    yield from (("payment card", card) for card in cards)
    for match in _PHONE.finditer(text):
        value = match.group()
        digits = sum(char.isdigit() for char in value)
        if LEAST_DIGITS <= digits <= 15 and not _is_other_number(value) and not any(value in card for card in cards):
            yield "telephone number", value


def _is_other_number(value: str) -> bool:
    """Whether it is a date, a time, a measure, an address of a machine or of a book."""
    return bool(_DATE.fullmatch(value) or _NO_PHONE.fullmatch(value))


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
