"""The search engine: the whole of the server's contract, and what it finds, through the REST API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

CONTRACT = Path(__file__).with_name("contract.py")
QUERIES = ("a dog opens a door", "a cat sleeps", "a dog sleeps on grass", "狗在草地上睡觉", "nothing at all: 100 %_")


def test_every_abstract_method_is_there_with_its_signature(argilla_python: Path, tmp_path: Path) -> None:
    line = [argilla_python, "-I", CONTRACT, tmp_path]
    said = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    assert {"search", "index_records", "get_dataset_user_progress", "similarity_search"} <= set(said["abstract"])
    assert said["missing"] == []
    assert said["different"] == []


class World:
    """Five records, with answers: alice judged r0 and r1, bob judged r0 and drafted r2."""

    def __init__(self, data: Path, connect: Callable[..., Any]) -> None:
        self.owner, self.alice, self.bob = connect(data), connect(data, "alice"), connect(data, "bob")
        self.dataset = self.owner.dataset(f"search-{id(self)}", min_submitted=2)
        questions = self.owner.call("GET", f"datasets/{self.dataset}/questions")["items"]
        relevance = next(one["id"] for one in questions if one["name"] == "relevance")
        suggested = {0: ("yes", 0.9), 1: ("no", 0.2), 3: ("yes", 0.4)}
        records = []
        for number, text in enumerate(QUERIES):
            record = {
                "external_id": f"r{number}",
                "fields": {"query": text, "note": f"number {number}", "page": {"text": f'第{number}页 "a" b'}},
                "metadata": {"terms": "even" if number % 2 == 0 else "odd", "integer": number * 10},
            }
            if number < 3:
                record["metadata"]["float"] = number / 2
            if number in suggested:
                value, score = suggested[number]
                agent = "rules" if number else "model"
                record["suggestions"] = [
                    {"question_id": relevance, "value": value, "score": score, "agent": agent, "type": "model"}
                ]
            records.append(record)
        self.ids = self.owner.push(self.dataset, records)
        self.alice.answer(self.ids[0], "yes", stars=5, flags=["yes", "no"])
        self.alice.answer(self.ids[1], "no", stars=1)
        self.bob.answer(self.ids[0], "no", stars=2)
        draft = {"record_id": self.ids[2], "values": {"relevance": {"value": "part"}}, "status": "draft"}
        self.bob.call("POST", "me/responses/bulk", {"items": [draft]})

    def found(self, *filters: Any, **more: Any) -> list[str]:
        body = {"filters": {"and": list(filters)}} if filters else {}
        return sorted(self.owner.search(self.dataset, {**body, **more})[0])


def terms(scope: dict[str, Any], *values: str) -> dict[str, Any]:
    return {"type": "terms", "scope": scope, "values": list(values)}


def between(scope: dict[str, Any], ge: Any = None, le: Any = None) -> dict[str, Any]:
    return {"type": "range", "scope": scope, **({} if ge is None else {"ge": ge}), **({} if le is None else {"le": le})}


RELEVANCE = {"entity": "response", "question": "relevance"}
STATUS = {"entity": "response", "property": "status"}
SUGGESTED = {"entity": "suggestion", "question": "relevance", "property": "value"}
SCORE = {"entity": "suggestion", "question": "relevance", "property": "score"}


@pytest.fixture(scope="module")
def world(one_argilla: Path, api: Callable[..., Any]) -> World:
    return World(one_argilla, api)


def test_filters_of_every_scope(world: World) -> None:
    assert world.found() == ["r0", "r1", "r2", "r3", "r4"]
    assert world.found(terms({"entity": "metadata", "metadata_property": "terms"}, "odd")) == ["r1", "r3"]
    assert world.found(between({"entity": "metadata", "metadata_property": "integer"}, 10, 30)) == ["r1", "r2", "r3"]
    assert world.found(between({"entity": "metadata", "metadata_property": "float"}, ge=0.5)) == ["r1", "r2"]
    assert world.found(terms(SUGGESTED, "yes")) == ["r0", "r3"]
    assert world.found(between(SCORE, 0.3, 0.5)) == ["r3"]
    assert world.found(terms({**SUGGESTED, "property": "agent"}, "rules")) == ["r1", "r3"]
    assert world.found(terms({"entity": "record", "property": "status"}, "completed")) == ["r0"]
    assert world.found(terms({"entity": "record", "property": "id"}, world.ids[3], "no-uuid")) == ["r3"]
    assert world.found(terms(RELEVANCE, "no")) == ["r0", "r1"]
    assert world.found(terms({"entity": "response", "question": "flags"}, "no")) == ["r0"]
    assert world.found(between({"entity": "response", "question": "stars"}, ge=2)) == ["r0"]
    assert world.found(between({"entity": "record", "property": "inserted_at"}, le="2001-01-01T00:00:00")) == []
    assert world.found(terms(RELEVANCE, "no"), terms(SUGGESTED, "no")) == ["r1"]


def test_status_by_user(world: World) -> None:
    def of(user: Any, *status: str) -> list[str]:
        return sorted(user.search(world.dataset, {"filters": {"and": [terms(STATUS, *status)]}}, mine=True)[0])

    assert of(world.alice, "submitted") == ["r0", "r1"]
    assert of(world.alice, "pending") == ["r2", "r3", "r4"]
    assert of(world.bob, "draft") == ["r2"]
    assert of(world.bob, "pending", "draft") == ["r1", "r2", "r3", "r4"]
    assert world.found(terms(STATUS, "pending")) == ["r3", "r4"]
    assert world.found(terms(STATUS, "submitted", "draft")) == ["r0", "r1", "r2"]
    # a reviewer's filter by answer looks at that reviewer's answers
    mine = {"filters": {"and": [terms(RELEVANCE, "no")]}}
    assert sorted(world.alice.search(world.dataset, mine, mine=True)[0]) == ["r1"]


def test_progress_of_the_set_and_of_a_reviewer(world: World) -> None:
    whole = world.owner.call("GET", f"datasets/{world.dataset}/progress")
    assert (whole["total"], whole["completed"], whole["pending"]) == (5, 1, 4)
    alone = world.bob.call("GET", f"me/datasets/{world.dataset}/metrics")["responses"]
    assert (alone["submitted"], alone["draft"], alone["pending"]) == (1, 1, 3)


def test_orders(world: World) -> None:
    def by(scope: dict[str, Any], way: str) -> list[str]:
        found, _ = world.owner.search(world.dataset, {"sort": [{"scope": scope, "order": way}]})
        return found

    integer = {"entity": "metadata", "metadata_property": "integer"}
    assert by(integer, "asc") == ["r0", "r1", "r2", "r3", "r4"]
    assert by(integer, "desc") == ["r4", "r3", "r2", "r1", "r0"]
    assert by(SCORE, "desc") == ["r0", "r3", "r1", "r2", "r4"]  # those without a value last, in order of arrival
    assert by(SCORE, "asc") == ["r1", "r3", "r0", "r2", "r4"]
    assert by({"entity": "response", "question": "stars"}, "desc")[:2] == ["r0", "r1"]  # 3.5 and 1
    assert by({"entity": "record", "property": "inserted_at"}, "desc")[-1] == "r0"


def test_words(world: World) -> None:
    def text(q: str, field: str | None = None) -> list[str]:
        return world.found(query={"text": {"q": q, **({"field": field} if field else {})}})

    assert text("DOG sleeps") == ["r2"]
    assert text("dog -sleeps") == ["r0"]
    assert text('"sleeps on"') == ["r2"]
    assert text("草地") == ["r3"]
    assert text("100 %_") == ["r4"]  # no wildcards
    assert text("number 3") == ["r3"]
    assert text("number", "query") == []
    assert text("第2页") == text("第2页", "page") == ["r2"]
    assert text("第2页", "note") == []


def test_pages_are_disjoint_and_complete_and_the_same_again(world: World) -> None:
    for user, mine in ((world.owner, False), (world.alice, True)):
        pages = [user.search(world.dataset, mine=mine, offset=offset, limit=2) for offset in (0, 2, 4)]
        assert [total for _, total in pages] == [5, 5, 5]
        assert sorted(one for page, _ in pages for one in page) == ["r0", "r1", "r2", "r3", "r4"]
        assert [len(page) for page, _ in pages] == [2, 2, 1]
        assert user.search(world.dataset, mine=mine, limit=2) == pages[0]


def test_what_others_began_comes_first_and_the_rest_in_an_order_of_ones_own(
    one_argilla: Path, api: Callable[..., Any]
) -> None:
    owner, users = api(one_argilla), [api(one_argilla, name) for name in ("alice", "bob", "carol")]
    dataset = owner.dataset("overlap", min_submitted=2)
    ids = owner.push(dataset, [{"external_id": f"r{n}", "fields": {"query": f"{n}", "note": ""}} for n in range(40)])
    by_name = dict(zip((f"r{n}" for n in range(40)), ids, strict=True))
    todo = [terms(STATUS, "pending"), terms({"entity": "record", "property": "status"}, "pending")]
    queue = {"filters": {"and": todo}}
    orders = [user.search(dataset, queue, mine=True, limit=40)[0] for user in users]
    assert len({tuple(order) for order in orders}) == 3
    for _ in range(10):  # everybody answers what comes first, in turn
        for user in users:
            first, _ = user.search(dataset, queue, mine=True, limit=1)
            user.answer(by_name[first[0]], "yes")
    progress = owner.call("GET", f"datasets/{dataset}/progress")
    assert progress["completed"] == 15, "30 answers must complete 15 records of two answers each"


def test_metadata_metrics(world: World) -> None:
    properties = world.owner.call("GET", f"me/datasets/{world.dataset}/metadata-properties")["items"]
    said = {one["name"]: world.owner.call("GET", f"metadata-properties/{one['id']}/metrics") for one in properties}
    assert said["terms"]["values"] == [{"term": "even", "count": 3}, {"term": "odd", "count": 2}]
    assert (said["integer"]["min"], said["integer"]["max"]) == (0, 40)
    assert (said["float"]["min"], said["float"]["max"]) == (0.0, 1.0)


@pytest.fixture
def own(one_argilla: Path, api: Callable[..., Any]) -> World:
    """A world for one test alone, which changes it."""
    return World(one_argilla, api)


def test_search_by_vectors_says_that_it_is_not_there(world: World) -> None:
    settings = {"name": "v", "title": "v", "dimensions": 2}
    world.owner.call("POST", f"datasets/{world.dataset}/vectors-settings", settings)
    with pytest.raises(httpx.HTTPStatusError, match="no search by vectors") as raised:
        world.owner.search(world.dataset, {"query": {"vector": {"name": "v", "value": [1.0, 0.0]}}})
    assert raised.value.response.status_code == 422


def test_records_and_answers_that_change_are_found_as_they_are_now(own: World) -> None:
    own.alice.answer(own.ids[1], "yes")
    assert own.found(terms(RELEVANCE, "no")) == ["r0"]
    own.owner.call("PATCH", f"records/{own.ids[4]}", {"metadata": {"terms": "other"}})
    assert own.found(terms({"entity": "metadata", "metadata_property": "terms"}, "other")) == ["r4"]
    own.owner.http.delete(f"datasets/{own.dataset}/records", params={"ids": own.ids[4]}).raise_for_status()
    assert own.found(query={"text": {"q": "nothing"}}) == []


def test_what_needs_services_says_that_it_is_not_there(world: World) -> None:
    target = {"name": "o/d", "subset": "default", "split": "train", "private": True, "token": "x"}
    with pytest.raises(httpx.HTTPStatusError, match="does not exchange data"):
        world.owner.call("POST", f"datasets/{world.dataset}/export", target)
    assert world.owner.http.get("webhooks").status_code == 404


def test_a_changed_distribution_changes_the_status_of_records(world: World) -> None:
    """Runs the one background job in the server's own process. Argilla allows the change before there are answers."""
    dataset = world.owner.dataset("changed", min_submitted=2)
    record = world.owner.push(dataset, [{"external_id": "r", "fields": {"query": "q", "note": ""}}])[0]
    world.owner.call("PATCH", f"datasets/{dataset}", {"distribution": {"strategy": "overlap", "min_submitted": 1}})
    world.alice.answer(record, "yes")
    assert world.owner.call("GET", f"datasets/{dataset}/progress")["completed"] == 1
