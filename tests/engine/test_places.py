"""Which call goes to which node."""

from __future__ import annotations

import asyncio

import pytest

from hardcut.engine.places import Places


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def waits(places: Places, unit: str, urgency: int = 0, last: str | None = None) -> asyncio.Task[str]:
    return asyncio.get_running_loop().create_task(places.take(urgency, unit, last))


async def test_a_unit_has_one_home_until_its_node_is_lost() -> None:
    places = Places()
    for name in "abc":
        places.add(name, 1000)
    units = [f"video{number}" for number in range(300)]
    homes = {unit: await places.take(0, unit, None) for unit in units}
    assert {unit: await places.take(0, unit, None) for unit in units} == homes
    share = [list(homes.values()).count(name) for name in "abc"]
    assert min(share) > 60, "units spread over the nodes"
    places.remove("b")
    moved = {unit: await places.take(0, unit, None) for unit in units}
    assert all(moved[unit] == homes[unit] for unit in units if homes[unit] != "b")
    assert "b" not in moved.values()
    other = "c" if homes[units[0]] == "a" else "a"
    assert await places.take(0, units[0], other) == other, "where it was last goes before"


async def test_no_place_stands_empty_while_a_call_waits() -> None:
    places = Places()
    places.add("a", 1)
    places.add("b", 1)
    assert await places.take(0, "x", "a") == "a"
    assert await places.take(0, "x", "a") == "b", "its home is full, another node is not"
    calls = [waits(places, "x", last="a") for _ in range(2)]
    await settled()
    places.give_back("b")
    await settled()
    assert calls[0].result() == "b" and not calls[1].done()
    places.give_back("a")
    assert await calls[1] == "a"


async def test_the_most_urgent_goes_first_and_the_home_before_others() -> None:
    places = Places()
    places.add("a", 1)
    await places.take(0, "x", "a")
    early, late, urgent = waits(places, "1", 1), waits(places, "2", 1), waits(places, "3", 2)
    await settled()
    order = []
    for _ in range(3):
        places.give_back("a")
        await settled()
        order += [task for task in (early, late, urgent) if task.done() and task not in order]
    assert order == [urgent, early, late]
    places.add("b", 1)
    await places.take(0, "x", "b")
    at_a, at_b = waits(places, "1", 5, "a"), waits(places, "2", 1, "b")
    await settled()
    places.give_back("b")
    await settled()
    assert at_b.done() and not at_a.done(), "a node does its own first"
    at_a.cancel()


async def test_what_waited_for_a_lost_node_goes_to_any() -> None:
    places = Places()
    places.add("a", 1)
    await places.take(0, "x", None)
    call = waits(places, "x")
    await settled()
    places.remove("a")
    places.give_back("a")
    assert "a" not in places and not call.done()
    places.add("b", 2)
    assert await call == "b"
    places.remove("b")
    last = waits(places, "y")
    await settled()
    places.fail(RuntimeError("no nodes"))
    with pytest.raises(RuntimeError, match="no nodes"):
        await last


async def test_a_cancelled_call_takes_no_place() -> None:
    places = Places()
    places.add("a", 1)
    await places.take(0, "x", None)
    gone, next_one, given = waits(places, "1"), waits(places, "2"), waits(places, "3")
    await settled()
    gone.cancel()
    await settled()
    places.give_back("a")
    assert await next_one == "a"
    places.give_back("a")  # hands the place to `given`, which is cancelled before it runs
    given.cancel()
    await settled()
    assert await places.take(0, "4", None) == "a"
