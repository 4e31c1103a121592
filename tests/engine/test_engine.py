"""The engine over a chain of two unit stages, a collection stage and a unit stage that regroups."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.stage import Failure, Output
from hardcut.engine.status import read_status
from hardcut.schemas.errors import (
    BudgetReached,
    DamagedInput,
    DropItem,
    HardcutError,
    MissingDependency,
    StorageError,
    UsageError,
)
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair

NOTHING = {"look": 0, "tell": 0, "mine": 0, "judge": 0}


@pytest.fixture
async def finished(tmp_path, new_chain, given, files_of):
    """A run of 60 units with its chain and files."""
    chain = new_chain()
    await chain.run(tmp_path / "run", given(60))
    return tmp_path / "run", chain, files_of(tmp_path / "run")


def assert_sums_agree(run):
    for stage in read_status(run).stages:
        assert stage.units_in == stage.done + stage.dropped + stage.failed + stage.pending, stage


async def test_second_run_does_nothing(finished, given):
    run, chain, files = finished
    assert set(files) == {f"{n}.jsonl" for n in ("evidence", "captions", "queries", "pairs", "labels", "dropped")}
    assert all(files.values())
    stamps = {path: path.stat().st_mtime_ns for path in run.glob("*.jsonl")}
    assert await chain.run(run, given(60)) == NOTHING
    assert stamps == {path: path.stat().st_mtime_ns for path in run.glob("*.jsonl")}


async def test_every_unit_is_accounted_for(finished):
    run, _, files = finished
    status = read_status(run)
    look, tell, mine, judge = status.stages
    dropped = sum(n % 7 == 3 for n in range(60))
    failed = sum(n % 7 != 3 and (n % 11 == 5 or n % 13 == 6) for n in range(60))
    assert (look.units_in, look.dropped, look.failed, look.pending) == (60, dropped, failed, 0)
    assert tell.units_in == tell.done == look.done == 60 - dropped - failed
    assert mine.units_in == tell.records["Query"] and mine.dropped > 0
    assert judge.done == judge.units_in > 0
    assert status.finished
    assert_sums_agree(run)
    for stage, kind, file in (
        (look, "Evidence", "evidence"),
        (mine, "Pair", "pairs"),
        (judge, "TeacherLabel", "labels"),
    ):
        assert stage.records[kind] == files[f"{file}.jsonl"].count(b"\n")
    assert sum(stage.records.get("Dropped", 0) for stage in status.stages) == files["dropped.jsonl"].count(b"\n")
    whole = [unit for unit in status.failed if unit.reason == "damaged"]
    assert whole[0].unit == "video0005" and whole[0].raw == "moov atom not found"
    assert b"video0006" in files["evidence.jsonl"], "what failed in part keeps its good records"
    assert b"video0006" not in files["captions.jsonl"], "what failed in part does not go on"


async def test_files_are_sorted_by_id(finished):
    _, _, files = finished
    ids = [Evidence.model_validate_json(line).id for line in files["evidence.jsonl"].splitlines()]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)


async def test_order_and_concurrency_change_nothing(finished, tmp_path, new_chain, given, files_of):
    _, _, files = finished
    chain = new_chain()
    with Ledger(tmp_path / "other") as ledger:
        await Engine(ledger, concurrency=1).run(chain.stages, given(60)[::-1])
    assert files_of(tmp_path / "other") == files


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("look", {"look", "tell", "mine", "judge"}),
        ("tell", {"tell", "mine", "judge"}),
        ("mine", {"mine"}),  # its pairs stay the same, so the judge has nothing to do
        ("judge", {"judge"}),
    ],
)
async def test_changed_settings_run_again_what_depends_on_them(
    finished, given, files_of, new_chain, tmp_path, changed, again
):
    run, chain, files = finished
    getattr(chain, changed).settings = {"words": 3}
    counts = await chain.run(run, given(60))
    assert {name for name, count in counts.items() if count} == again
    fresh = new_chain()
    getattr(fresh, changed).settings = {"words": 3}
    await fresh.run(tmp_path / "fresh", given(60))
    assert files_of(run) == files_of(tmp_path / "fresh")
    assert {name: counts[name] for name in again} == {name: fresh.calls[name] for name in again}
    assert_sums_agree(run)
    getattr(chain, changed).settings = {}
    assert await chain.run(run, given(60)) == NOTHING, "going back costs nothing"
    assert files_of(run) == files


async def test_fewer_sources_and_more_again(finished, new_chain, given, files_of, tmp_path):
    run, chain, files = finished
    counts = await chain.run(run, given(20))
    assert (counts["look"], counts["tell"], counts["mine"]) == (0, 0, 1)
    fresh = new_chain()
    await fresh.run(tmp_path / "fresh", given(20))
    assert files_of(run) == files_of(tmp_path / "fresh")
    assert b"video0050" not in b"".join(files_of(run).values()), "a unit that went away is nowhere to be seen"
    assert read_status(run).stages[0].units_in == 20
    assert await chain.run(run, given(60)) == NOTHING
    assert files_of(run) == files


async def test_a_changed_source_runs_again_alone(finished, given):
    run, chain, _ = finished
    changed = [*given(60)[:9], *given(60, fingerprint="2")[9:10], *given(60)[10:]]
    assert await chain.run(run, changed) == {**NOTHING, "look": 1}, "its records stay the same"


async def test_failed_units_run_again_only_when_asked(finished, given, files_of, new_chain, tmp_path):
    run, chain, _ = finished
    chain.look.mended = True
    assert await chain.run(run, given(60)) == NOTHING
    failed = read_status(run).stages[0].failed
    counts = await chain.run(run, given(60), retry_failed=True)
    mended = failed - read_status(run).stages[0].failed
    assert counts["look"] == failed and counts["tell"] == mended > 0 and counts["mine"] == 1
    fresh = new_chain()
    fresh.look.mended = True
    await fresh.run(tmp_path / "fresh", given(60))
    assert files_of(run) == files_of(tmp_path / "fresh")
    assert_sums_agree(run)


async def test_until_stops_and_goes_on(tmp_path, new_chain, given, files_of, finished):
    whole, _, files = finished
    chain = new_chain()
    counts = await chain.run(tmp_path / "part", given(60), until="tell")
    assert counts["mine"] == counts["judge"] == 0
    assert set(files_of(tmp_path / "part")) == {f"{n}.jsonl" for n in ("evidence", "captions", "queries", "dropped")}
    await chain.run(tmp_path / "part", given(60))
    assert files_of(tmp_path / "part") == files
    assert await chain.run(whole, given(60), until="look") == NOTHING
    assert files_of(whole) == files, "what lies behind and is up to date stays"


async def test_files_never_mix_settings(finished, given, files_of):
    run, chain, files = finished
    chain.tell.settings = {"words": 3}
    await chain.run(run, given(60), until="tell")
    assert set(files_of(run)) == {f"{n}.jsonl" for n in ("evidence", "captions", "queries", "dropped")}
    assert files_of(run)["captions.jsonl"] != files["captions.jsonl"]
    assert b'"mine"' not in files_of(run)["dropped.jsonl"], "nor does the list of what was left out"
    chain.tell.settings = {}
    await chain.run(run, given(60))
    assert files_of(run) == files


async def test_a_stage_taken_out_of_the_run_takes_its_records_along(finished, given, files_of):
    run, chain, files = finished
    with Ledger(run) as ledger:
        await Engine(ledger).run(chain.stages[:3], given(60))
    assert set(files) - set(files_of(run)) == {"labels.jsonl"}
    assert [stage.name for stage in read_status(run).stages] == ["look", "tell", "mine"]
    assert await chain.run(run, given(60)) == NOTHING
    assert files_of(run) == files


async def test_a_missing_file_is_written_again(finished, given, files_of):
    run, chain, files = finished
    (run / "captions.jsonl").unlink()
    assert await chain.run(run, given(60)) == NOTHING
    assert files_of(run) == files


async def test_one_id_twice_names_both_units(tmp_path, new_chain, given):
    chain = new_chain()

    async def same(unit):
        made = Caption.create(video_id=unit.id, text="the same", teacher={"backend": "test", "model": ""})
        return Output(records=[made.model_copy(update={"caption_id": "c-same"})])

    chain.tell.run = same
    with pytest.raises(HardcutError, match=r"made twice, by unit 'video000\d' of stage tell and by unit 'video000\d'"):
        await chain.run(tmp_path, given(3))
    assert "captions.jsonl" not in {path.name for path in tmp_path.iterdir()}
    assert not read_status(tmp_path).finished


async def test_two_sources_of_one_id(tmp_path, new_chain, given):
    with pytest.raises(HardcutError, match="two units have the id 'video0001'"):
        await new_chain().run(tmp_path / "same", [*given(3), *given(2)[1:]])
    with pytest.raises(HardcutError, match="two units have the id 'video0000'"):
        await new_chain().run(tmp_path / "other", [*given(3), *given(1, fingerprint="2")])


async def test_faults_of_the_program_fail_the_unit_and_are_logged_once(tmp_path, new_chain, given, caplog):
    chain = new_chain()

    async def wrong(unit):
        return Output(records=[Pair.create(query_id="q", video_id=unit.id, origins=("mined",), expected="no")])

    async def broken(unit):
        raise ZeroDivisionError("surrogate \udc80")

    chain.tell.run, chain.judge.run = wrong, broken
    with caplog.at_level(logging.ERROR):
        await chain.run(tmp_path, given(10))
    status = read_status(tmp_path)
    assert status.stages[1].failed == status.stages[1].units_in > 1
    failure = next(unit for unit in status.failed if unit.stage == "tell")
    assert failure.reason == "internal" and "makes Pair" in failure.detail and "Traceback" in (failure.raw or "")
    assert len([record for record in caplog.records if "stage tell" in record.message]) == 1


@pytest.mark.parametrize("error", [MissingDependency, StorageError, UsageError])
async def test_errors_that_stop_the_run_leave_the_unit_pending(tmp_path, new_chain, given, files_of, finished, error):
    chain = new_chain()
    work = chain.tell.run

    async def stopping(unit):
        if len(chain.tell.calls) > 10:
            raise error("no server: start it")
        return await work(unit)

    chain.tell.run = stopping
    with pytest.raises(error, match="no server"):
        await chain.run(tmp_path / "stopped", given(60))
    look, tell = read_status(tmp_path / "stopped").stages[:2]
    assert tell.done > 5 and tell.pending and tell.failed == 0 and not tell.finished
    assert_sums_agree(tmp_path / "stopped")
    chain.tell.run = work
    counts = await chain.run(tmp_path / "stopped", given(60))
    all_told = read_status(tmp_path / "stopped").stages[1].units_in
    assert counts["look"] == 60 - (look.done + look.dropped + look.failed) and counts["tell"] == all_told - tell.done
    assert files_of(tmp_path / "stopped") == finished[2]


async def test_a_unit_whose_input_was_damaged_is_done_once_more(tmp_path, new_chain, given, files_of, finished, caplog):
    chain = new_chain()
    work, tries = chain.tell.run, Counter()

    async def damaged_once(unit):
        tries[unit.id] += 1
        if (tries[unit.id] == 1 and unit.id.endswith("4")) or unit.id == "video0008":
            raise DamagedInput("frames", "00001.jpg does not fit its digest")
        return await work(unit)

    chain.tell.run = damaged_once
    await chain.run(tmp_path / "damaged", given(60))
    status = read_status(tmp_path / "damaged")
    assert [(each.unit, each.reason) for each in status.failed if each.stage == "tell"] == [("video0008", "frames")]
    assert tries["video0008"] == tries["video0004"] == 2 and tries["video0001"] == 1
    assert "'video0004': 00001.jpg does not fit its digest: it is done once more" in caplog.text
    chain.tell.run = work
    await chain.run(tmp_path / "damaged", given(60), retry_failed=True)
    assert files_of(tmp_path / "damaged") == finished[2]


async def test_at_the_budget_what_is_in_flight_comes_in(tmp_path, new_chain, given, caplog):
    chain = new_chain()
    work = chain.tell.run
    chain.tell.delay_s = 0.05

    async def paid(unit):
        if len(chain.tell.calls) >= 8:
            raise BudgetReached("8 of 8 teacher calls are spent")
        return await work(unit)

    chain.tell.run = paid
    with caplog.at_level(logging.WARNING), pytest.raises(BudgetReached):
        await chain.run(tmp_path, given(60))
    look, tell = read_status(tmp_path).stages[:2]
    assert tell.done == 8 and not tell.finished
    assert look.finished and look.units_in == 60 and (tmp_path / "evidence.jsonl").exists(), "it asks nobody"
    assert "tell: 8 of 8 teacher calls are spent: what needs no call is finished first" in caplog.text


async def test_a_collection_stage_is_all_or_nothing(tmp_path, new_chain, given, files_of, finished):
    chain = new_chain()
    work = chain.mine.run

    def half(records):
        yield from list(work(records))[:5]
        raise RuntimeError("index is corrupt")

    chain.mine.run = half
    with pytest.raises(RuntimeError, match="index is corrupt"):
        await chain.run(tmp_path / "half", given(60))
    assert read_status(tmp_path / "half").stages[2].units_in == 0
    assert not (tmp_path / "half" / "pairs.jsonl").exists()
    chain.mine.run = work
    await chain.run(tmp_path / "half", given(60))
    assert files_of(tmp_path / "half") == finished[2]


async def test_a_collection_stage_reads_only_what_it_declares(tmp_path, new_chain, given):
    chain = new_chain()
    chain.mine.run = lambda records: ((pair.id, Output()) for pair in records.all(Evidence))
    with pytest.raises(ValueError, match="stage mine does not say that it reads Evidence"):
        await chain.run(tmp_path, given(5))


async def test_a_collection_stage_stops_when_cancelled(tmp_path, new_chain, given, files_of, finished):
    chain = new_chain()
    work = chain.mine.run
    begun = threading.Event()

    def endless(records):
        begun.set()
        while True:
            list(work(records))

    chain.mine.run = endless
    task = asyncio.create_task(chain.run(tmp_path / "stopped", given(60)))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    chain.mine.run = work
    assert (await chain.run(tmp_path / "stopped", given(60)))["tell"] == 0
    assert files_of(tmp_path / "stopped") == finished[2]


async def test_stages_that_do_not_fit(tmp_path, new_chain, given):
    chain = new_chain()
    with pytest.raises(UsageError, match="no stage is named 'tel': there are look, tell"):
        await chain.run(tmp_path, given(1), until="tel")
    with Ledger(tmp_path) as ledger:
        with pytest.raises(ValueError, match="tell is over look, which is no stage before it"):
            await Engine(ledger).run([chain.tell, chain.look], given(1))
        with pytest.raises(ValueError, match="two stages are named look"):
            await Engine(ledger).run([chain.look, chain.look], given(1))


async def test_a_break_of_the_contract_fails_the_unit(tmp_path, new_chain, given):
    chain = new_chain()
    evidence = Evidence.create(video_id="v", kind="ocr", text="x", extractor="test")
    dropped = Dropped.create(item="v", stage="tell", reason="dull")
    wrong = {
        "video0000": Output(records=[evidence]),
        "video0001": Output(records=[], drop=dropped, failure=Failure("x", "y")),
        "video0002": Output(dropped=[dropped, dropped]),
    }

    async def break_it(unit):
        if unit.id == "video0004":
            raise DropItem("")
        return wrong[unit.id]

    chain.tell.run = break_it
    await chain.run(tmp_path, [*given(3), given(5)[4]])
    said = [unit.detail for unit in read_status(tmp_path).failed if unit.stage == "tell"]
    assert "does not say that it makes Evidence" in said[0]
    assert "neither a failure nor records" in said[1]
    assert "two records of kind Dropped" in said[2]
    assert "ValidationError" in said[3]


async def test_no_sources(tmp_path, new_chain, files_of):
    await new_chain().run(tmp_path, [])
    assert set(files_of(tmp_path).values()) == {b""}
    assert read_status(tmp_path).finished


async def test_the_last_stage_alone_leaves_what_a_whole_run_would(tmp_path, new_chain, given, files_of):
    """A collection stage behind the chain, run again under other settings without the sources."""

    class Count:
        kind, name, version, reads, makes = "collection", "count", 1, (Pair,), ()

        def __init__(self, limit):
            self.settings = {"limit": limit}
            self.ran = 0

        def run(self, records):
            self.ran += 1
            for pair in records.all(Pair):
                drop = Dropped.create(item=pair.pair_id, stage="count", reason=f"limit_{self.settings['limit']}")
                yield pair.pair_id, Output(drop=drop)

    run, chain = tmp_path / "run", new_chain()
    with Ledger(run) as ledger:
        assert not await Engine(ledger).run_last(Count(1)), "nothing is there to stand on"
        await Engine(ledger).run([*chain.stages, Count(1)], given(60), until="mine")
        assert not await Engine(ledger).run_last(Count(2)), "a stage before it is not finished"
        await Engine(ledger).run([*chain.stages, Count(1)], given(60))
        assert not await Engine(ledger).run_last(new_chain().stages[2]), "it is not the last one"
        again = Count(2)
        assert await Engine(ledger).run_last(again) and await Engine(ledger).run_last(again) and again.ran == 1
        left = files_of(run)
        assert b"limit_2" in left["dropped.jsonl"] and b"limit_1" not in left["dropped.jsonl"]
        same = Count(2)
        await Engine(ledger).run([*chain.stages, same], given(60))
        assert same.ran == 0 and files_of(run) == left
