"""What a run wrote and is no longer what it wrote: noticed where it is read, made anew from what is sound, and told."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.run_files import RunFiles
from hardcut.engine.status import read_status
from hardcut.schemas.errors import HardcutError, StorageError, UsageError
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Caption, Query, TeacherLabel

NOTHING = {"look": 0, "tell": 0, "mine": 0, "judge": 0}


@pytest.fixture
async def finished(tmp_path, new_chain, given, files_of):
    """A run of 40 units with its chain and files."""
    chain = new_chain()
    await chain.run(tmp_path / "run", given(40))
    return tmp_path / "run", chain, files_of(tmp_path / "run")


def change(run, sql):
    """What a bad disk or a curious person does to the ledger. Says that it found something to change."""
    connection = sqlite3.connect(run / "ledger.sqlite")
    with connection:
        assert connection.execute(sql).rowcount > 0, sql
    connection.close()


ALTERED = {
    "cut inside a line": lambda data: data[: len(data) - 20],
    "cut behind a line": lambda data: data[: data[:-1].rindex(b"\n") + 1],
    "empty": lambda data: b"",
    "one byte": lambda data: data.replace(b"says", b"sayz", 1),
    "a line twice": lambda data: data + data[data[:-1].rindex(b"\n") + 1 :],
}


@pytest.mark.parametrize("how", ALTERED)
async def test_an_altered_file_is_restored_by_the_next_start_and_told(finished, given, files_of, caplog, how):
    run, chain, files = finished
    for name in ("captions.jsonl", "queries.jsonl"):
        (run / name).write_bytes(ALTERED[how](files[name]))
    with caplog.at_level(logging.WARNING):
        assert await chain.run(run, given(40)) == NOTHING
    assert files_of(run) == files
    assert [name for name in files if any(name in line for line in caplog.messages)] == [
        "captions.jsonl", "queries.jsonl",
    ]  # fmt: skip
    assert all("restored from the ledger" in line for line in caplog.messages)


async def test_an_older_copy_of_a_file_is_noticed(finished, given, files_of):
    run, chain, files = finished
    chain.tell.settings = {"words": 3}
    await chain.run(run, given(40))
    newer = files_of(run)
    (run / "captions.jsonl").write_bytes(files["captions.jsonl"])
    assert await chain.run(run, given(40)) == NOTHING
    assert files_of(run) == newer


async def test_a_touched_or_copied_file_is_read_once_and_left_alone(finished, given, monkeypatch):
    run, chain, _ = finished
    copied = run.with_name("copied")
    shutil.copytree(run, copied)
    os.utime(copied / "captions.jsonl", (1, 1))
    assert await chain.run(copied, given(40)) == NOTHING
    assert (copied / "captions.jsonl").stat().st_mtime == 1, "it was not written again"
    read = []
    monkeypatch.setattr("hardcut.engine.published.sha256_of", lambda path: read.append(path) or "")
    assert await chain.run(copied, given(40)) == NOTHING
    assert read == [], "size, time of change and inode are those of the digest"


ROWS = {
    "a body": "UPDATE record SET body = replace(body, 'says', 'sayz') WHERE kind = 'Caption' AND rowid % 3 = 0",
    "a body that is no text": "UPDATE record SET body = CAST(x'ff' || body AS TEXT) WHERE kind = 'Caption'",
    "a digest": "UPDATE record SET digest = 'x' || digest WHERE kind = 'Caption' AND rowid % 3 = 0",
    "body and digest": "UPDATE record SET body = '{}', digest = "
    "'44136fa355b3678a1146ad16f7e8649e94fb4f7ad12f3bb7ec3c5d58a1e6c0c5' WHERE kind = 'Caption'",
    "what a record is about": "UPDATE record SET about = about || 'x' WHERE kind = 'Caption' AND rowid % 5 = 0",
    "whose a record is": "UPDATE record SET unit = 1 WHERE kind = 'Query' AND id = (SELECT max(id) FROM record "
    "WHERE kind = 'Query')",
    "a lost record": "DELETE FROM record WHERE kind = 'Caption' AND about LIKE '%7'",
    "a record too many": "INSERT INTO record SELECT unit, kind, id || 'x', about, digest, body FROM record "
    "WHERE kind = 'Caption'",
    "a status": "UPDATE unit SET status = 'dropped' WHERE stage = 'tell' AND unit LIKE '%8'",
    "a lost unit": "DELETE FROM unit WHERE stage = 'tell' AND unit LIKE '%8'",
    "a unit's name": "UPDATE unit SET unit = unit || 'x' WHERE stage = 'tell' AND unit LIKE '%8'",
    "a unit's key": "UPDATE unit SET key = key || 'x' WHERE stage = 'tell' AND unit LIKE '%8'",
    "a lost unit of a collection": "DELETE FROM unit WHERE stage = 'mine' AND unit = (SELECT max(unit) FROM unit "
    "WHERE stage = 'mine')",
    "a pair of a collection": "UPDATE record SET body = replace(body, 'yes', 'no') WHERE kind = 'Pair'",
    "a stage's state": "UPDATE stage SET state = 'x' WHERE name = 'tell'",
    "a stage's generation": "UPDATE stage SET generation = generation + 1 WHERE name = 'tell'",
    "a stage's phase": "UPDATE stage SET phase = 'publishing' WHERE name = 'tell'",
    "a stage's files": "UPDATE stage SET files = '{}' WHERE name = 'tell'",
    "a snapshot": "UPDATE snapshot SET generation = generation + 1",
    "a file's digest": "UPDATE file SET digest = 'x'",
}


@pytest.mark.parametrize("what", ROWS)
async def test_what_is_damaged_in_the_ledger_is_done_again_where_it_is_read(
    finished, new_chain, given, files_of, tmp_path, caplog, what
):
    """The next start reads everything: each of the later stages has other settings, and a file is gone."""
    run, _, _ = finished
    change(run, ROWS[what])
    (run / "captions.jsonl").unlink()
    chain, fresh = new_chain(), new_chain()
    for each in (chain, fresh):
        each.mine.settings = each.judge.settings = {"depth": 5}
    with caplog.at_level(logging.WARNING):
        counts = await chain.run(run, given(40))
    assert any(word in line for word in ("damaged", "missing", "gone") for line in caplog.messages)
    await fresh.run(tmp_path / "fresh", given(40))
    assert files_of(run) == files_of(tmp_path / "fresh")
    assert counts["look"] <= 1, "what is sound is not done again"
    assert read_status(run).finished
    for stage in read_status(run).stages:
        assert stage.units_in == stage.done + stage.dropped + stage.failed + stage.pending


@pytest.mark.parametrize("stage", ["look", "tell", "mine"])
async def test_damage_that_only_the_files_would_show_is_found_when_they_are_written(finished, given, files_of, stage):
    run, chain, files = finished
    change(run, f"UPDATE record SET body = body || ' ' WHERE unit IN (SELECT id FROM unit WHERE stage = '{stage}')")
    assert await chain.run(run, given(40)) == NOTHING, "the files are sound, and nothing else is read"
    for name in files:
        (run / name).unlink()
    counts = await chain.run(run, given(40))
    assert files_of(run) == files
    assert {name for name, count in counts.items() if count} == {stage}


async def test_a_disk_that_damages_everything_ends_the_run_with_one_error(finished, given, monkeypatch):
    run, chain, _ = finished
    change(run, "UPDATE record SET body = body || ' ' WHERE kind = 'Caption'")
    (run / "captions.jsonl").unlink()
    monkeypatch.setattr("hardcut.engine.checksums.of_body", lambda body: "another each time")
    with pytest.raises(StorageError, match=r"stage \w+, unit '\w+', is damaged: start the run again"):
        await chain.run(run, given(40))


async def test_books_that_were_changed_are_refused(finished):
    run, _, _ = finished
    with Ledger(run) as ledger:
        await Engine(ledger).run([])
        ledger.database.submit(lambda c: c.execute("INSERT INTO spend (stage, teacher, calls) VALUES ('a', 'b', 9)"))
    with pytest.raises(StorageError, match=r"what was spent is damaged.*with the same cache"):
        Ledger(run)


@pytest.mark.parametrize("what", ["a status", "a lost unit", "a stage's state", "a failure"])
async def test_status_tells_of_no_run_that_was_changed(finished, what):
    run, _, _ = finished
    change(run, ROWS.get(what, "UPDATE unit SET detail = 'well' WHERE status = 'failed'"))
    with pytest.raises(StorageError, match=r"ledger\.sqlite: what it holds was damaged: start the run again"):
        read_status(run)


FLIPS = int(os.environ.get("HARDCUT_FLIPS", "40"))


@pytest.mark.timeout(900)
async def test_no_flipped_bit_of_a_ledger_leads_to_another_result(finished, new_chain, given, files_of, tmp_path):
    """Either the files are those of a fresh run, or the run ends with one error that names the ledger."""
    run, _, _ = finished
    whole = (run / "ledger.sqlite").read_bytes()
    fresh = new_chain()
    fresh.judge.settings = {"depth": 5}
    await fresh.run(tmp_path / "fresh", given(40))
    expected, refused, dice = files_of(tmp_path / "fresh"), 0, random.Random(5)
    for number in range(FLIPS):
        flipped = tmp_path / f"flipped{number}"
        shutil.copytree(run, flipped)
        damaged = bytearray(whole)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        (flipped / "ledger.sqlite").write_bytes(damaged)
        chain = new_chain()
        chain.judge.settings = {"depth": 5}
        try:
            await chain.run(flipped, given(40))
        except HardcutError as error:
            assert "ledger.sqlite" in str(error)
            refused += 1
        else:
            assert files_of(flipped) == expected, number
        shutil.rmtree(flipped)
    assert refused < FLIPS / 4


# Those who read a run's files


@pytest.mark.parametrize("how", [*ALTERED, "removed"])
async def test_a_reader_is_given_what_the_run_wrote(finished, caplog, how):
    run, _, files = finished
    name = Caption.FILE
    assert RunFiles(run).sound(Caption) == run / name
    if how == "removed":
        (run / name).unlink()
    else:
        state = (run / name).stat()
        (run / name).write_bytes(ALTERED[how](files[name]))
        os.utime(run / name, ns=(state.st_atime_ns, state.st_mtime_ns))
    with caplog.at_level(logging.WARNING):
        assert RunFiles(run).sound(Caption) == run / name
    assert (run / name).read_bytes() == files[name]
    assert [line for line in caplog.messages if name in line and "restored from the ledger" in line]


async def test_a_reader_is_not_given_what_cannot_be_restored(finished):
    run, _, _ = finished
    (run / Caption.FILE).write_text("")
    with Ledger(run), pytest.raises(StorageError, match=r"captions.jsonl is not what its run wrote.*another process"):
        RunFiles(run).sound(Caption)
    change(run, "UPDATE record SET body = body || ' ' WHERE kind = 'Caption'")
    with pytest.raises(StorageError, match=r"stage tell.*is damaged: start the run again"):
        RunFiles(run).sound(Caption)


async def test_a_reader_is_given_nothing_that_no_stage_shows(finished, given):
    run, chain, files = finished
    chain.judge.settings = {"depth": 5}
    await chain.run(run, given(40), until="mine")
    assert RunFiles(run).sound(TeacherLabel) is None
    (run / TeacherLabel.FILE).write_bytes(files[TeacherLabel.FILE])
    assert RunFiles(run).sound(TeacherLabel) is None, "a copy of what was withdrawn"
    assert RunFiles(run).sound(Query) == run / Query.FILE


async def test_a_file_that_no_stage_writes_is_given_as_it_is(finished, tmp_path):
    run, _, _ = finished
    assert RunFiles(run).sound(Review) is None
    (run / Review.FILE).write_text("")
    assert RunFiles(run).sound(Review) == run / Review.FILE
    (tmp_path / Caption.FILE).write_text("")
    assert RunFiles(tmp_path).sound(Caption) == tmp_path / Caption.FILE, "no ledger, no digest"


# Layouts


@pytest.mark.parametrize("made", ["CREATE TABLE notes (text)", "PRAGMA user_version = 1", "PRAGMA user_version = -3"])
def test_a_file_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, made):
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(made)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for look in (Ledger, read_status):
        with pytest.raises(UsageError, match=r"ledger\.sqlite: no file of Hardcut's"):
            look(tmp_path)
    assert path.read_bytes() == before
