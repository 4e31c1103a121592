"""What the ledger refuses, and what may be read beside it."""

from __future__ import annotations

import sqlite3

import pytest

from hardcut.engine.checksums import stamp
from hardcut.engine.ledger import Ledger
from hardcut.engine.status import read_status
from hardcut.schemas.errors import StorageError, UsageError
from hardcut.schemas.records import Pair, Query


def test_a_newer_layout_is_refused(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UsageError, match=r"newer Hardcut.*upgrade"):
        Ledger(tmp_path)
    with pytest.raises(UsageError, match="upgrade"):
        read_status(tmp_path)


def test_a_damaged_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database" * 1000)
    with pytest.raises(StorageError, match=r"ledger\.sqlite: damaged"):
        Ledger(tmp_path)
    with pytest.raises(StorageError, match=r"ledger\.sqlite: cannot read"):
        read_status(tmp_path)


def test_a_failed_opening_lets_go_of_the_run(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database" * 1000)
    with pytest.raises(StorageError):
        Ledger(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    Ledger(tmp_path).close()


def test_no_run(tmp_path):
    with pytest.raises(UsageError, match="no run is here"):
        read_status(tmp_path)
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_a_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        Ledger(tmp_path / "file" / "run")


async def test_one_write_that_fails_harms_no_other_of_its_group(tmp_path):
    with Ledger(tmp_path) as ledger:

        def add(connection, name):
            connection.execute("INSERT INTO spend (stage, teacher, calls) VALUES (?, 'm', 1)", (name,))
            stamp(connection, "spend", "stage = ?", (name,))

        names = ["a", "b", "a", "c"]
        futures = [ledger.database.submit(lambda c, name=name: add(c, name)) for name in names]
        outcomes = [future.exception() for future in futures]
        assert [type(error) for error in outcomes] == [type(None), type(None), sqlite3.IntegrityError, type(None)]
    assert [spend.stage for spend in read_status(tmp_path).spend] == ["a", "b", "c"]


async def test_status_is_read_while_a_run_is_going(tmp_path, new_chain, given):
    chain, seen = new_chain(), []
    work = chain.tell.run

    async def looking(unit):
        seen.append(read_status(tmp_path, limit=3))
        return await work(unit)

    chain.tell.run = looking
    await chain.run(tmp_path, given(40))
    for status in seen:
        look, tell, mine, judge = status.stages
        assert not look.finished and not tell.finished and mine.units_in == judge.units_in == 0
        assert tell.units_in == tell.done + tell.pending <= look.done and tell.pending > 0
    end = read_status(tmp_path, limit=3)
    assert len(end.failed) == 3 and end.failed_more == sum(stage.failed for stage in end.stages) - 3 > 0
    assert len(end.slowest) == 3
    seconds = [unit.seconds for unit in read_status(tmp_path, limit=1000).slowest]
    assert seconds == sorted(seconds, reverse=True) and [unit.seconds for unit in end.slowest] == seconds[:3]


async def test_finds_a_record_of_the_present_settings(tmp_path, new_chain, given, files_of):
    chain = new_chain()
    await chain.run(tmp_path, given(10))
    query = Query.model_validate_json(files_of(tmp_path)["queries.jsonl"].splitlines()[0])
    with Ledger(tmp_path) as ledger:
        assert ledger.find(Query, query.query_id) == query
        assert ledger.find(Query, "q_none") is None and ledger.find(Pair, query.query_id) is None
    chain.tell.settings = {"words": 3}
    await chain.run(tmp_path, given(10))
    with Ledger(tmp_path) as ledger:
        assert ledger.find(Query, query.query_id) is None
