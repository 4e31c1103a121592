"""A stage whose version is counted up: what a run has of the version before stays in force until it is renewed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from hardcut.engine.ledger import Ledger
from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.engine.status import read_status
from hardcut.schemas.base import Record
from hardcut.schemas.errors import StorageError, UsageError
from hardcut.schemas.records import Evidence

NOTHING = {"look": 0, "tell": 0, "mine": 0, "judge": 0}


class Better:
    """The first stage of the chain in its second version: it says more. After `most` units it is stopped."""

    kind: ClassVar[str] = "unit"
    name: ClassVar[str] = "look"
    version: ClassVar[int] = 2
    over: ClassVar[None] = None
    reads: ClassVar[tuple[type[Record], ...]] = ()
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)
    settings: ClassVar[Mapping[str, object]] = {}
    earlier: ClassVar[Sequence[Earlier]] = (Earlier(1, {}),)

    def __init__(self, before: Any, most: int = 1000) -> None:
        self.before = before
        self.most = most

    @property
    def calls(self) -> Counter[str]:
        return self.before.calls

    async def run(self, unit: Unit) -> Output:
        if sum(self.calls.values()) >= self.most:
            raise StorageError("the disk is gone")
        before = await self.before.run(unit)
        more = Evidence.create(video_id=unit.id, kind="shot", text=f"{unit.id} in one shot", extractor="test")
        return Output(records=[*before.records, more], dropped=before.dropped, failure=before.failure)


@pytest.fixture
def better(new_chain):
    """A chain whose first stage is of the second version."""

    def make(most: int = 1000, *, mended: bool = False) -> Any:
        before = new_chain().look
        before.mended = mended
        return new_chain(look=Better(before, most))

    return make


async def test_what_the_version_before_made_stays(tmp_path, new_chain, better, given, files_of, caplog):
    run = tmp_path / "run"
    await new_chain().run(run, given(60))
    files = files_of(run)
    with caplog.at_level(logging.WARNING):
        assert await better().run(run, given(60)) == NOTHING
    assert [record.getMessage() for record in caplog.records] == [
        f"{run}: 60 units of look are kept as an earlier version made them: --renew look makes them anew, and all that "
        "rests on them is asked again"
    ]
    assert files_of(run) == files
    assert await better().run(run, given(60)) == NOTHING
    assert files_of(run) == files


async def test_new_units_are_made_by_the_present_version(tmp_path, new_chain, better, given, files_of):
    """Also where a run was stopped or grew: what is settled stays, what is not is made by this version."""
    run = tmp_path / "run"
    await new_chain().run(run, given(20), until="look")
    assert (await better().run(run, given(30)))["look"] == 10
    shots = [line for line in files_of(run)["evidence.jsonl"].splitlines() if b"in one shot" in line]
    assert shots and all(b"video002" in line for line in shots)


async def test_a_new_run_has_nothing_of_the_version_before(tmp_path, new_chain, better, given, files_of):
    await better().run(tmp_path / "new", given(30))
    await new_chain().run(tmp_path / "old", given(30))
    assert files_of(tmp_path / "new") != files_of(tmp_path / "old")


async def test_renewing_gives_what_a_new_run_has(tmp_path, new_chain, better, given, files_of):
    await better().run(tmp_path / "new", given(30))
    run = tmp_path / "run"
    await new_chain().run(run, given(30))
    done = await better().run(run, given(30), renew="look")
    assert done["look"] == 30 and done["tell"] > 0
    assert files_of(run) == files_of(tmp_path / "new")
    assert await better().run(run, given(30)) == NOTHING, "the renewed results are in force from now on"
    assert await better().run(run, given(30), renew="look") == NOTHING


async def test_a_renewal_that_was_stopped_goes_on(tmp_path, new_chain, better, given, files_of):
    await better().run(tmp_path / "new", given(30))
    run = tmp_path / "run"
    await new_chain().run(run, given(30))

    with pytest.raises(StorageError):
        await better(7).run(run, given(30), renew="look")
    rest = await better().run(run, given(30))
    assert 0 < rest["look"] < 30
    assert files_of(run) == files_of(tmp_path / "new")


async def test_what_failed_is_tried_again_by_the_present_version(tmp_path, new_chain, better, given, files_of):
    run = tmp_path / "run"
    await new_chain().run(run, given(30))
    failed = read_status(run).stages[0].failed
    done = await better(mended=True).run(run, given(30), retry_failed=True)
    assert done["look"] == failed
    assert b"video0005 in one shot" in files_of(run)["evidence.jsonl"]
    assert b"video0001 in one shot" not in files_of(run)["evidence.jsonl"]
    with Ledger(run) as ledger:
        assert ledger.count("look", "done") + ledger.count("look", "failed") + ledger.count("look", "dropped") == 30


async def test_other_settings_find_nothing_of_before(tmp_path, new_chain, better, given):
    run = tmp_path / "run"
    old = new_chain()
    old.look.settings = {"asked": 1}
    await old.run(run, given(20))
    assert (await better().run(run, given(20)))["look"] == 20


async def test_only_what_is_kept_can_be_renewed(tmp_path, better, given):
    with pytest.raises(UsageError, match="nothing of 'tell' can be renewed: only look keeps results"):
        await better().run(tmp_path / "run", given(3), renew="tell")


class Narrower:
    """The second stage in a version that does not get evidence of shots any more."""

    version: ClassVar[int] = 2
    without: ClassVar[Mapping[type[Record], tuple[str, str]]] = {Evidence: ("kind", "shot")}
    earlier: ClassVar[Sequence[Earlier]] = (Earlier(1, {}),)

    def __init__(self, before: Any) -> None:
        self.before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.before, name)


async def test_what_a_stage_leaves_out_comes_and_goes_and_what_is_there_stays(
    tmp_path, new_chain, better, given, files_of
):
    """Also where the version before had it among what it was made of."""
    run = tmp_path / "run"
    await better().run(run, given(40))
    files = files_of(run)
    assert (
        await new_chain(look=Better(new_chain().look), tell=Narrower(new_chain().tell)).run(run, given(40)) == NOTHING
    )
    assert files_of(run) == files

    fresh = tmp_path / "fresh"
    await new_chain(tell=Narrower(new_chain().tell)).run(fresh, given(40))
    captions = (fresh / "captions.jsonl").read_bytes()
    looks = Better(new_chain().look)
    looks.earlier = ()
    again = new_chain(look=looks, tell=Narrower(new_chain().tell))
    assert (await again.run(fresh, given(40)))["tell"] == 0, "evidence of shots has come, and nobody is asked again"
    assert (fresh / "captions.jsonl").read_bytes() == captions
