"""Brings answers back into the run's reviews.jsonl and comparisons.jsonl: all of them, each once, also those of
reviewers who were deleted."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hardcut.annotate.argilla import ArgillaServer
from hardcut.annotate.comparing import ShownCouple, read_comparison, read_couple
from hardcut.annotate.ownership import Ownership, read_ownership
from hardcut.annotate.policy import SetName
from hardcut.annotate.responses import Response, ShownPair, read_response
from hardcut.annotate.review_content import pushed_by, read_shown
from hardcut.engine.files import atomic_writer
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Review

STATE = "review/pulled.json"
"""Who gave which answer, by dataset. With it, an answer that is gone because its user was deleted differs from one that
its reviewer took back."""
BREAK_S = 600.0
"""Longer than this between two answers of one person is a pause, not work."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull changed: `reviews` are all in reviews.jsonl, `comparisons` all in comparisons.jsonl, the other counts
    are of both. `withdrawn` are answers that were taken back on the server; `unread` says
    what of an answer could not be read, `strange` which records are not ours."""

    reviews: int
    comparisons: int
    new: int
    changed: int
    withdrawn: int
    unread: tuple[str, ...]
    strange: tuple[str, ...]


class _Given(NamedTuple):
    """An answer with what it answers; None where the record is not one that we pushed."""

    set: SetName
    dataset_id: str
    record_id: str
    shown: ShownPair | ShownCouple | None
    answer: Response


Answered = Review | Comparison
Book = dict[str, dict[str, dict[str, str]]]
"""dataset id -> response id -> `reviewer`, `review_id` (or that of the comparison), `record_id`."""


def pull(run: Path, name: str, server: ArgillaServer, experts: Collection[str] = ()) -> Pulled:
    """Reads all sets that the run has pushed to, whatever they are called now, and those called `name`. Writes
    reviews.jsonl where it changes. Records of other runs are passed over. `experts` settle conflicts
    alone.

    Answers that are not on the server (any more) stay: the dataset, the server or the record may be another. Only one
    whose record is there, and that it had and has no longer, was taken back by its reviewer, and goes. Raises
    UsageError where nothing was pushed.
    """
    before: dict[str, Answered] = {each.id: each for kind in (Review, Comparison) for each in _read(run, kind)}
    book = _read_book(run / STATE)
    users = server.users()
    strange: list[str] = []
    given, datasets = _given(server, read_ownership(run), name, strange)
    if not datasets:
        raise UsageError(f"{run}: nothing was pushed there yet: `hardcut review push {run}` first")
    pages: Book = {dataset_id: {} for dataset_id in datasets}
    read, unread = _read_answers(given, before, book, users, pages, experts)
    after = before | read
    renamed, withdrawn = _gone(after, book, pages, datasets, set(users.values()))
    for answer_id in renamed | withdrawn:
        del after[answer_id]
    reviews = [each for _, each in sorted(after.items()) if isinstance(each, Review)]
    comparisons = [each for _, each in sorted(after.items()) if isinstance(each, Comparison)]
    if after != before or not (run / Review.FILE).exists():
        _write(run / Review.FILE, reviews)
        if comparisons or (run / Comparison.FILE).exists():
            _write(run / Comparison.FILE, comparisons)
    _write_book(run / STATE, {**book, **pages})
    return Pulled(
        reviews=len(reviews),
        comparisons=len(comparisons),
        new=len(after.keys() - before.keys()),
        changed=sum(after[id] != old for id, old in before.items() if id in after),
        withdrawn=len(withdrawn),
        unread=tuple(unread),
        strange=tuple(strange),
    )


def _read(run: Path, kind: type[Review] | type[Comparison]) -> Iterator[Answered]:
    return read_records(run / kind.FILE, kind) if (run / kind.FILE).exists() else iter(())


def _write(path: Path, records: Iterable[Answered]) -> None:
    with atomic_writer(path) as file:
        write_records(file, records)


def _read_answers(
    given: Sequence[_Given],
    before: Mapping[str, Answered],
    book: Book,
    users: Mapping[str, str],
    pages: Book,
    experts: Collection[str],
) -> tuple[dict[str, Answered], list[str]]:
    """The reviews and comparisons that the answers make, by id, and what of them could not be read. Notes in `pages`
    who gave which. Where a person was asked the same in two sets, the later answer counts, and a draft only where there
    is nothing else.

    `before` are those of earlier pulls, `book` who gave them, `users` the server's users by id.
    """
    read, unread = dict[str, Answered](), list[str]()
    took = _seconds(given)
    for each in sorted(given, key=_rank):
        response_id, user_id = each.answer.response_id, each.answer.user_id
        noted = book.get(each.dataset_id, {}).get(response_id, {})
        if each.shown is None:
            if noted:
                pages[each.dataset_id][response_id] = noted
            continue
        reviewer = users.get(user_id or "") or noted.get("reviewer") or f"user-{(user_id or response_id)[:8]}"
        made, problem = _made(each, each.shown, reviewer, took.get(response_id), experts)
        old = before.get(made.id)
        if isinstance(old, Review):  # how long it took does not change with what was edited
            made = made.model_copy(update={"seconds": old.seconds})
        pages[each.dataset_id][response_id] = {
            "reviewer": reviewer,
            "review_id": made.id,
            "record_id": each.record_id,
        }
        read[made.id] = made
        if problem:
            unread.append(problem)
    return read, unread


def _rank(given: _Given) -> tuple[bool, float, str]:
    answer = given.answer
    return answer.status != "draft", answer.given_s, answer.response_id


def _made(
    given: _Given, shown: ShownPair | ShownCouple, reviewer: str, seconds: float | None, experts: Collection[str]
) -> tuple[Answered, str | None]:
    """The record of an answer, and what of it could not be read."""
    if isinstance(shown, ShownCouple):
        return read_comparison(shown, given.answer, reviewer, given.record_id), None
    return read_response(shown, given.answer, reviewer, given.set, seconds, experts)


def _given(
    server: ArgillaServer, own: Ownership, name: str, strange: list[str]
) -> tuple[list[_Given], dict[str, set[str]]]:
    """All answers of the run's sets, and the ids of the records that each dataset has, by the dataset's id."""
    given: list[_Given] = []
    datasets: dict[str, set[str]] = {}
    for set_name, listed in own.to_pull(server.sets(), name):
        record_ids = set[str]()
        for record in server.records(server.open(listed)):
            if not own.takes(pushed_by(record.asked)):
                continue
            record_ids.add(record.record_id)
            if not record.answers:
                continue
            shown: ShownPair | ShownCouple | None = None
            try:
                shown = (
                    read_couple(record.asked)
                    if set_name == "pairwise"
                    else read_shown(record.asked, record.page, record.suggested)
                )
            except (ValueError, KeyError, TypeError):
                strange.append(
                    f"{set_name}: record {record.pair_id} is not one that hardcut pushed: its answers are left"
                )
            of = (set_name, listed.dataset_id, record.record_id)
            given += (_Given(*of, shown, answer) for answer in record.answers)
        if record_ids or listed.dataset_id in own.noted:
            datasets[listed.dataset_id] = record_ids
    return given, datasets


def _gone(
    answers: Mapping[str, Answered], before: Book, now: Book, datasets: Mapping[str, set[str]], users: Collection[str]
) -> tuple[set[str], set[str]]:
    """Of what was pulled before, by the ids of the records: what is there under its reviewer's new name, and what its
    reviewer took back. Who was deleted, and whose record was, took nothing back, also where it was made again. An entry
    of an early version does not name its record, so that nobody knows whether that is there: its answer stays. Every
    pull names the records of what it finds, so this is about answers alone that went before the first pull of this
    version."""
    kept = {noted["review_id"] for page in now.values() for noted in page.values()}
    renamed, withdrawn = set[str](), set[str]()
    for dataset_id, record_ids in datasets.items():
        for response_id, noted in before.get(dataset_id, {}).items():
            old = answers.get(noted["review_id"])
            if old is None or old.id in kept:
                continue
            if response_id in now[dataset_id]:
                renamed.add(old.id)
            elif old.reviewer in users and noted.get("record_id") in record_ids:
                withdrawn.add(old.id)
    return renamed, withdrawn


def _seconds(given: Iterable[_Given]) -> dict[str, float]:
    """How long each answer took: the time since the same person's answer before it, where that is no pause. Argilla
    keeps no better clock."""
    order = sorted((each.answer for each in given), key=lambda answer: (answer.given_s, answer.response_id))
    last: dict[str, float] = {}
    took: dict[str, float] = {}
    for answer in order:
        if answer.user_id is None:
            continue
        since = answer.given_s - last.get(answer.user_id, float("-inf"))
        if since <= BREAK_S:
            took[answer.response_id] = round(since, 3)
        last[answer.user_id] = answer.given_s
    return took


def _read_book(path: Path) -> Book:
    if not path.exists():
        return {}
    try:
        book: Book = json.loads(path.read_text(encoding="utf-8"))["datasets"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): delete it, `review pull` writes it anew") from error
    return book


def _write_book(path: Path, book: Book) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as file:
        json.dump({"datasets": book}, file, indent=0, sort_keys=True)
