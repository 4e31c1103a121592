"""What a run that grows keeps: the pairs that were paid for or answered, noted before a start makes pairs again."""

from __future__ import annotations

import logging
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.engine.history import ever_named
from hardcut.engine.ledger import Ledger
from hardcut.schemas.errors import RecordError
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Pair, TeacherLabel
from hardcut.schemas.reviews import is_answer

_log = logging.getLogger(__name__)


def note_kept_pairs(run: Path, ledger: Ledger) -> None:
    """Writes the run's kept.jsonl: all pairs that have a label or an answer, and those that it has already.

    To be called before a start whose pairs are out of date. It only ever adds pairs, and the pairs of a run are those
    that are found and those that are kept, so a start that is killed and started again ends with the same pairs.
    """
    path = run / KeptPair.FILE
    before = _noted(path)
    kept = before | {pair.pair_id: _kept(pair) for pair in ever_named(ledger, Pair, TeacherLabel, "pair_id")}
    answers = answered_pairs(run)
    for pair_id in answers.keys() - kept.keys():
        kept[pair_id] = _answered(answers[pair_id], ledger)
    kept = {id: pair.model_copy(update={"reviewed": id in answers}) for id, pair in sorted(kept.items())}
    if kept != before:
        with atomic_writer(path) as file:
            write_records(file, kept.values())


def _noted(path: Path) -> dict[str, KeptPair]:
    """What the file has. One that was altered is made anew: all that has a label is in the ledger."""
    try:
        return {pair.pair_id: pair for pair in read_records(path, KeptPair)} if path.exists() else {}
    except RecordError as error:
        _log.warning("%s: it is written anew out of the ledger", error)
        return {}


def answered_pairs(run: Path) -> dict[str, Review]:
    """The pairs of a run that people answered, by id, each with one of the answers."""
    path = run / Review.FILE
    return {each.pair_id: each for each in read_records(path, Review) if is_answer(each)} if path.exists() else {}


def _answered(review: Review, ledger: Ledger) -> KeptPair:
    """A pair that people answered before a teacher did."""
    found = ledger.find(Pair, review.pair_id)
    if found is not None:
        return _kept(found)
    ids = {"pair_id": review.pair_id, "query_id": review.query_id, "video_id": review.video_id}
    return KeptPair.model_validate({**ids, "origins": ["mined"], "expected": "unknown"})


def _kept(pair: Pair) -> KeptPair:
    ids = {"pair_id": pair.pair_id, "query_id": pair.query_id, "video_id": pair.video_id}
    return KeptPair.model_validate({**ids, "origins": pair.origins, "expected": pair.expected})
