"""The budget of calls: exact, durable, over all starts of a run."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from hardcut.engine.budget import CallBudget, current_stage
from hardcut.engine.ledger import Ledger
from hardcut.engine.status import Spend, read_status
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.resources import Budget
from hardcut.schemas.teachers import Price

SPENDER = """
from hardcut.engine.budget import CallBudget
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.resources import Budget

async def call(budget, sent):
    await budget.reserve("captions", "openai:m")
    print("sent", flush=True)
    await asyncio.sleep(0.005)
    budget.spent("captions", "openai:m", 10, 2)

async def main():
    with Ledger(Path(sys.argv[1])) as ledger:
        budget = CallBudget(ledger, Budget(calls=int(sys.argv[2])))
        try:
            while True:
                async with asyncio.TaskGroup() as group:
                    for _ in range(4):
                        group.create_task(call(budget, None))
        except* BudgetReached as error:
            print(error.exceptions[0])

asyncio.run(main())
"""


async def test_never_passes_the_limit(tmp_path):
    with Ledger(tmp_path) as ledger:
        budget = CallBudget(ledger, Budget(calls=10))
        results = await asyncio.gather(
            *(budget.reserve("captions" if n % 2 else "scores", "m") for n in range(25)), return_exceptions=True
        )
        assert results.count(None) == 10
        assert {type(result) for result in results if result} == {BudgetReached}
        budget.spent("scores", "m", 100, 20)
        budget.spent("scores", "m", 1, 2)
        with pytest.raises(BudgetReached, match=r"10 of 10 teacher calls are spent.*raise budget\.calls"):
            await budget.reserve("scores", "m")
        budget.release("scores", "m")
        await budget.reserve("scores", "m")
        await budget.close()
    with Ledger(tmp_path) as ledger:
        with pytest.raises(BudgetReached):
            await CallBudget(ledger, Budget(calls=10)).reserve("captions", "m")
        await CallBudget(ledger, Budget(calls=11)).reserve("captions", "m")
        unlimited = CallBudget(ledger)
        for _ in range(100):
            await unlimited.reserve("captions", "other")
        await unlimited.close()
    captions, other, scores = read_status(tmp_path).spend
    assert captions.calls + scores.calls == 11 and other.calls == 100
    assert scores == Spend("scores", "m", scores.calls, 101, 22)


async def test_holds_over_kills(tmp_path, child):
    sent, said = 0, ""
    for _ in range(20):
        process = child(SPENDER, tmp_path, 60, stdout=subprocess.PIPE)
        lines = [process.stdout.readline() for _ in range(17)]
        process.kill()
        lines += process.communicate()[0].splitlines()
        sent += sum(line.strip() == "sent" for line in lines)
        if said := next((line for line in lines if "budget" in line), ""):
            break
    assert "60 of 60" in said
    assert 40 < sent <= 60, "what was in flight counts as spent, and nothing is sent past the limit"
    assert read_status(tmp_path).spend[0].calls == 60


async def test_stages_know_their_name(tmp_path, new_chain, given):
    chain, seen, before = new_chain(), set(), current_stage.get("")
    work = chain.tell.run

    async def asking(unit):
        seen.add(current_stage.get())
        return await work(unit)

    chain.tell.run = asking
    await chain.run(tmp_path, given(10))
    assert seen == {"tell"}
    assert current_stage.get("") == before


async def test_calls_booked_ahead_are_few_and_given_back(tmp_path):
    with Ledger(tmp_path) as ledger:
        budget = CallBudget(ledger, Budget(calls=10_000))
        for sent in range(1, 400):
            await budget.reserve("captions", "m")
            await asyncio.sleep(0.01 if sent % 50 == 0 else 0)  # bookings ahead come in
            booked = ledger.database.read("SELECT calls FROM spend")[0][0]
            assert sent <= booked <= sent + 128, "what a kill at this moment would cost"
        budget.release("captions", "m")
        await budget.close()
        assert ledger.database.read("SELECT calls FROM spend")[0][0] == 398
        await budget.reserve("captions", "m")
        await budget.close()
        assert ledger.database.read("SELECT calls FROM spend")[0][0] == 399


async def test_what_another_stage_booked_ahead_is_not_lost_at_the_limit(tmp_path):
    with Ledger(tmp_path) as ledger:
        budget = CallBudget(ledger, Budget(calls=300))
        for _ in range(10):
            await budget.reserve("captions", "m")
        for _ in range(290):
            await budget.reserve("scores", "m")
        with pytest.raises(BudgetReached):
            await budget.reserve("scores", "m")


async def test_estimates_count_and_are_kept_apart(tmp_path):
    with Ledger(tmp_path) as ledger:
        budget = CallBudget(ledger, Budget(tokens=1000))
        await budget.reserve("captions", "m")
        budget.spent("captions", "m", 300, 20)
        budget.spent("captions", "m", 600, 80, estimated=True)
        with pytest.raises(BudgetReached, match=r"1,000 tokens are spent \(680 tokens of it are an estimate"):
            await budget.reserve("captions", "m")
        await budget.close()
    (spend,) = read_status(tmp_path).spend
    assert spend == Spend("captions", "m", 1, 900, 100, 600, 80)
    with Ledger(tmp_path) as ledger, pytest.raises(BudgetReached, match="680 tokens of it are an estimate"):
        await CallBudget(ledger, Budget(tokens=1000)).reserve("captions", "m")


async def test_a_minute_of_sound_has_a_price(tmp_path):
    with Ledger(tmp_path) as ledger:
        budget = CallBudget(ledger, Budget(money=0.01))
        budget.charge("server:w", Price(), minute=0.006)
        await budget.reserve("evidence", "server:w")
        budget.heard("evidence", "server:w", 100.0)
        with pytest.raises(BudgetReached, match=r"raise budget\.money"):
            await budget.reserve("evidence", "server:w")
        await budget.close()
    assert read_status(tmp_path).spend == (Spend("evidence", "server:w", 1, 0, 0, sound_s=100.0),)


@pytest.mark.parametrize(
    ("limits", "says"), [(Budget(tokens=1000), "raise budget.tokens"), (Budget(money=0.05), "raise budget.money")]
)
async def test_tokens_and_money_pass_their_limit_by_what_is_in_flight_only(tmp_path, limits, says):
    sent = 0
    for _ in range(3):
        with Ledger(tmp_path) as ledger:
            budget = CallBudget(ledger, limits)
            budget.charge("m", Price(prompt=40.0, completion=100.0))

            async def call(budget=budget):
                nonlocal sent
                await budget.reserve("captions", "m")
                sent += 1
                await asyncio.sleep(0.001)
                budget.spent("captions", "m", 90, 10)  # 0.0046

            with pytest.raises(BudgetReached, match=says):
                while True:
                    await asyncio.gather(*(call() for _ in range(4)))
            await budget.close()
    assert 10 <= sent <= 10 + 3, "nothing is sent once the limit is reached, at any start"
