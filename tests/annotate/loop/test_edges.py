"""What happens to answers, records and servers meanwhile: nothing that was answered is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from hardcut.annotate import argilla
from hardcut.annotate.embedded.server import Connection, EmbeddedServer, Order, connection, running
from hardcut.annotate.records import read_run
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Pair, Query

Review_ = Callable[..., dict[str, Any]]


def reviews_of(run: Path) -> list[Review]:
    return list(read_records(run / Review.FILE, Review))


def test_answers_that_are_edited_withdrawn_drafted_or_unreadable(sample: Any, review: Review_, people: Any) -> None:
    review("push", "--budget", "12")
    blind = people["owner"].records(f"{sample.run.name}-blind")
    kept, gone = people["bob"].answer(blind[0], "answers"), people["bob"].answer(blind[1], "answers")
    people["bob"].answer(blind[2], None, status="draft", rewrite="half a")
    people["carol"].answer(blind[2], None, status="discarded")
    people["carol"].answer(blind[0], "does_not", moment="towards the end")
    told = review("pull", status=1)
    assert told["new"] == 5 and [line for line in told["unread"] if "towards the end" in line]
    assert Counter(each.status for each in reviews_of(sample.run)) == {"submitted": 3, "draft": 1, "discarded": 1}

    people["bob"].edit(kept, "in_part")
    people["bob"].call("DELETE", f"responses/{gone['id']}")
    before = {each.review_id: each for each in reviews_of(sample.run)}
    told = review("pull", status=1)
    assert (told["new"], told["changed"], told["withdrawn"]) == (0, 1, 1)
    after = {each.review_id: each for each in reviews_of(sample.run)}
    (edited,) = [each for id, each in after.items() if before[id] != each]
    assert (edited.relevance, edited.seconds) == (1, before[edited.review_id].seconds)


def test_a_changed_query_orphans_its_answers(sample: Any, review: Review_, people: Any) -> None:
    """Kept, shown, and applied to nothing; its record goes once nobody has answered it."""
    review("push", "--budget", "12")
    records = people["owner"].records(f"{sample.run.name}-assisted")
    for name in ("alice", "bob"):
        people[name].answer(records[0], "does_not", rewrite="other words")
    review("pull")
    pair_id = records[0]["external_id"]
    judged = {each.pair_id: each for each in read_records(sample.run / Judgment.FILE, Judgment)}
    assert judged[pair_id].source == "human"

    reviews = reviews_of(sample.run)
    other = "0" * len(reviews[0].query_digest)  # as if the query had had another wording when they answered
    with (sample.run / Review.FILE).open("w") as file:
        write_records(file, (each.model_copy(update={"query_digest": other}) for each in reviews))
    run = read_run(sample.run)
    assert [(word, each.pair_id) for word, each in run.orphans()] == [("changed_query", pair_id)] * 2
    found = review("report")
    assert (found["orphans"], found["decided"]) == (2, {})
    assert len(reviews_of(sample.run)) == 2, "kept"


def test_users_who_are_deleted_or_renamed_keep_their_answers(
    argilla_python: Path, sample: Any, tmp_path: Path, hardcut: Callable[..., tuple[int, str, str]], make_api: Any
) -> None:
    """The embedded server keeps the answers of who was deleted, pulled or not; a plain Argilla deletes them, and what
    was pulled stays."""
    data = tmp_path / "argilla"
    with running(argilla_python, data, Order(port=0, reviewers=("dora", "emil", "fred"))) as server:
        push = ["--data", data, "--videos", sample.videos, "--cache", sample.cache, "--budget", "6"]
        assert hardcut("review", "push", sample.run, *push)[0] == 0
        owner = make_api(connection(data))
        first, second, *_ = owner.records(f"{sample.run.name}-assisted")
        users = {each["username"]: each["id"] for each in owner.call("GET", "users")["items"]}
        dora = make_api(connection(data, user="dora"))
        dora.answer(first, "answers")
        for name in ("dora", "fred"):
            owner.call("DELETE", f"users/{users[name]}")
        assert "fred" not in {each["username"] for each in owner.call("GET", "users")["items"]}, "he said nothing"
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            dora.call("GET", "me")
        assert log_in(server, "dora") == 401
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            owner.call("DELETE", f"users/{users['owner']}")
        assert pull(hardcut, sample.run, data)["new"] == 1

        make_api(connection(data, user="emil")).answer(second, "does_not")
        assert pull(hardcut, sample.run, data)["new"] == 1
        before = (sample.run / Review.FILE).read_bytes()
        assert {each.reviewer for each in reviews_of(sample.run)} == {"dora", "emil"}
        owner.call("PATCH", f"users/{users['emil']}", json={"username": "emilia"})
        assert pull(hardcut, sample.run, data)["reviews"] == 2
        assert {each.reviewer for each in reviews_of(sample.run)} == {"dora", "emilia"}, "not doubled"
        owner.call("PATCH", f"users/{users['emil']}", json={"username": "emil"})
        pull(hardcut, sample.run, data)
        assert (sample.run / Review.FILE).read_bytes() == before

    with closing(sqlite3.connect(data / "argilla.db")) as database, database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM users WHERE username = 'emil'")
    with running(argilla_python, data, Order(port=0, reviewers=("dora",))) as server:
        assert log_in(server, "dora") == 201, "who is named again comes back"
        owner = make_api(connection(data))
        assert [len(each["responses"]) for each in owner.records(f"{sample.run.name}-assisted")[:2]] == [1, 0]
        assert pull(hardcut, sample.run, data)["withdrawn"] == 0
        set_id = owner.call("GET", "me/datasets")["items"][0]["id"]
        owner.call("DELETE", f"datasets/{set_id}/records", params={"ids": first["id"]})
        assert pull(hardcut, sample.run, data)["withdrawn"] == 0, "nor did she take back what went with its record"
    assert (sample.run / Review.FILE).read_bytes() == before


def log_in(server: EmbeddedServer, name: str) -> int:
    """The status that a user gets with the password of this start, or one that is none."""
    form = {"username": name, "password": server.passwords.get(name, "")}
    return httpx.post(f"{server.url}/api/v1/token", data=form, timeout=60).status_code


def pull(hardcut: Callable[..., tuple[int, str, str]], run: Path, data: Path) -> dict[str, Any]:
    code, out, said = hardcut("review", "pull", run, "--data", data, "--json")
    assert code == 0, said
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_push_that_is_killed_is_completed_and_doubles_nothing(
    sample: Any, served: Path, review: Review_, people: Any, command: list[str]
) -> None:
    """SIGKILL as soon as the first records are there; batches of 3, so that it is in the middle."""
    arguments = [sample.run, "--data", served, "--videos", sample.videos, "--cache", sample.cache]
    code = "import hardcut.annotate.argilla as a; a.MAX_BATCH = 3\nfrom hardcut.cli.app import main; main()"
    line = [*command[:-1], code, "review", "push", *map(str, arguments)]
    pushing = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    name = f"{sample.run.name}-blind"
    try:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and pushing.poll() is None:
            known = {each["name"] for each in people["owner"].call("GET", "me/datasets")["items"]}
            if name in known and people["owner"].records(name):
                break
            time.sleep(0.02)
    finally:
        os.killpg(pushing.pid, signal.SIGKILL)
        pushing.wait()
    there = len(people["owner"].records(name))
    assert 0 < there < 28, "killed in the middle"
    review("push")
    planned = {item["pair_id"]: item["set"] for item in review("plan")["items"]}
    for of in ("blind", "assisted"):
        ids = [record["external_id"] for record in people["owner"].records(f"{sample.run.name}-{of}")]
        assert sorted(ids) == sorted(pair_id for pair_id, set_of in planned.items() if set_of == of)


def test_a_set_that_a_killed_push_left_half_made_is_made_anew(sample: Any, review: Review_, people: Any) -> None:
    owner = people["owner"]
    (workspace,) = owner.call("GET", "me/workspaces")["items"]
    name = f"{sample.run.name}-assisted"
    for known in owner.call("GET", "me/datasets")["items"]:
        if known["name"] == name:
            owner.call("DELETE", f"datasets/{known['id']}")
    draft = owner.call("POST", "datasets", json={"name": name, "workspace_id": workspace["id"]})
    assert draft["status"] == "draft"
    review("push")
    planned = [item for item in review("plan")["items"] if item["set"] == "assisted"]
    assert len(people["owner"].records(name)) == len(planned) > 0


def test_reviewers_are_not_told_whose_answer_it_is_also_in_a_set_of_an_early_version(
    sample: Any, review: Review_, people: Any
) -> None:
    """The ids of query and video, and why a pair is asked, are kept with the record and hidden. Early versions had no
    place for them but the page."""
    owner, name = people["owner"], f"{sample.run.name}-blind"
    review("push", "--budget", "3")
    (set_id,) = (each["id"] for each in owner.call("GET", "me/datasets")["items"] if each["name"] == name)
    places = owner.call("GET", f"me/datasets/{set_id}/metadata-properties")["items"]
    (asked,) = (each["id"] for each in places if each["name"] == "asked")
    owner.call("DELETE", f"metadata-properties/{asked}")
    review("push", "--budget", "24")
    assert {"asked", "content", "stratum"} <= set(owner.records(name)[0]["metadata"])
    found = people["bob"].call("POST", f"me/datasets/{set_id}/records/search", json={})["items"]
    assert found and not any(each["record"]["metadata"] for each in found)


@pytest.fixture(scope="module")
def elsewhere(argilla_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A stand-in for a team's Argilla: another server on another port with other users, reached by its URL alone."""
    data = tmp_path_factory.mktemp("elsewhere")
    with running(argilla_python, data, Order(port=0, reviewers=("zoe",))):
        yield connection(data)


def test_an_admin_of_the_workspace_pushes_and_pulls_page_by_page(
    sample: Any, elsewhere: Connection, monkeypatch: pytest.MonkeyPatch, hardcut: Any, make_api: Any
) -> None:
    """No owner's key is needed; and records that carry clips come as few at a time as a request can hold."""
    owner = make_api(elsewhere)
    workspace = owner.call("POST", "workspaces", json={"name": "admins"})["id"]
    told = {"first_name": "Ann", "username": "ann", "password": "of this test alone", "role": "admin"}
    user = owner.call("POST", "users", json=told)["id"]
    owner.call("POST", f"workspaces/{workspace}/users", json={"user_id": user})
    monkeypatch.setenv("ARGILLA_API_KEY", owner.call("GET", f"users/{user}")["api_key"])
    there: list[str | Path] = ["--url", elsewhere.url, "--workspace", "admins", "--name", "small"]
    push = [*there, "--videos", sample.videos, "--cache", sample.cache, "--budget", "24"]
    assert hardcut("review", "push", sample.run, *push)[0] == 0
    owner.answer(owner.records("small-assisted")[0], "does_not")

    asked = Counter[int]()
    request = argilla.ArgillaServer._request

    def counted(self: argilla.ArgillaServer, method: str, path: str, **options: Any) -> Any:
        found = request(self, method, path, **options)
        if method == "GET" and path.endswith("/records"):
            asked[len(found["items"])] += 1
        return found

    monkeypatch.setattr(argilla.ArgillaServer, "_request", counted)
    monkeypatch.setattr(argilla, "FIRST_PAGE", 2)
    monkeypatch.setattr(argilla, "MAX_BATCH_BYTES", 1)
    code, out, said = hardcut("review", "pull", sample.run, *there)
    assert code == 0 and "1 new" in out, said
    (found,) = reviews_of(sample.run)
    assert found.reviewer.startswith("user-"), "the owner is not of the workspace: an admin is told no name"
    blind, assisted = (len(owner.records(f"small-{name}")) for name in ("blind", "assisted"))
    assert asked == {2: 2, 1: blind + assisted - 4, 0: 2}

    monkeypatch.setenv("ARGILLA_API_KEY", elsewhere.api_key)
    assert hardcut("review", "pull", sample.run, *there)[0] == 0
    assert [each.reviewer for each in reviews_of(sample.run)] == ["owner"], "the same answer, not a second one"


def test_two_runs_of_one_name_do_not_take_away_each_others_records(
    sample: Any, served: Path, review: Review_, people: Any, hardcut: Any, tmp_path: Path
) -> None:
    review("push", "--budget", "12")
    other = tmp_path / "elsewhere" / sample.run.name
    shutil.copytree(sample.run, other, ignore=shutil.ignore_patterns("review"))
    (other / "ledger.sqlite").unlink()  # it would restore the files that are changed here
    for kind in (Query, Pair):  # as of another collection
        records = [
            each.model_copy(update={"pair_id": f"p_other{n:05}"}) if kind is Pair else each
            for n, each in enumerate(read_records(other / kind.FILE, kind))
        ]
        with (other / kind.FILE).open("w") as file:
            write_records(file, records)
    before = people["owner"].records(f"{sample.run.name}-blind")
    where = ["--data", served, "--videos", sample.videos, "--cache", sample.cache, "--budget", "12"]
    code, _, said = hardcut("review", "push", other, *where)
    assert code == 2 and "another run" in said and "--name" in said and said.count("\n") == 1
    assert people["owner"].records(f"{sample.run.name}-blind") == before


def test_two_runs_that_share_a_name_and_pairs_keep_their_own_answers(
    sample: Any, served: Path, review: Review_, people: Any, hardcut: Any, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / sample.run.name
    shutil.copytree(sample.run, other, ignore=shutil.ignore_patterns("review"))
    review("push", "--budget", "6")
    (record, *_) = people["owner"].records(f"{sample.run.name}-assisted")
    people["bob"].answer(record, "answers")
    where = ["--data", served, "--videos", sample.videos, "--cache", sample.cache, "--budget", "6"]
    code, _, said = hardcut("review", "push", other, *where)
    assert code == 2 and "another run" in said and "--name" in said
    code, _, said = hardcut("review", "pull", other, "--data", served)
    assert code == 2 and "nothing was pushed" in said and not (other / Review.FILE).exists()
    assert hardcut("review", "push", other, *where, "--name", f"{other.name}-2")[0] == 0
    assert hardcut("review", "pull", other, "--data", served)[0] == 0
    assert reviews_of(other) == [] and review("pull")["new"] == 1


def conflict(sample: Any, review: Review_, people: Any, names: tuple[str, ...]) -> str:
    """Has these people disagree on one blind record, and pushes; the pair."""
    review("push", "--budget", "12")
    (record, *_) = people["owner"].records(f"{sample.run.name}-blind")
    for name, said in zip(names, ("answers", "does_not", "in_part"), strict=False):
        people[name].answer(record, said)
    review("pull")
    review("push", "--budget", "12")
    return str(record["external_id"])


def shown_to(person: Any, owner: Any, name: str) -> list[str]:
    """The pairs of a set that a person is asked about."""
    (set_id,) = (each["id"] for each in owner.call("GET", "me/datasets")["items"] if each["name"] == name)
    scope = {"entity": "response", "property": "status"}
    pending = {"filters": {"and": [{"type": "terms", "scope": scope, "values": ["pending"]}]}}
    found = person.call("POST", f"me/datasets/{set_id}/records/search", json=pending)["items"]
    return [each["record"]["external_id"] for each in found]


def test_a_conflict_goes_to_who_has_not_voted(sample: Any, review: Review_, people: Any) -> None:
    pair_id = conflict(sample, review, people, ("alice", "bob"))
    owner, name = people["owner"], f"{sample.run.name}-adjudication"
    assert [shown_to(people[who], owner, name) for who in ("alice", "bob", "carol")] == [[], [], [pair_id]]
    (record,) = owner.records(name)
    people["carol"].answer(record, "in_part")
    review("pull")
    judged = {each.pair_id: each for each in read_records(sample.run / Judgment.FILE, Judgment)}
    assert (judged[pair_id].source, judged[pair_id].grade) == ("adjudicated", 1)


def test_where_everybody_has_voted_an_expert_settles_it(
    sample: Any, review: Review_, people: Any, hardcut: Any
) -> None:
    pair_id = conflict(sample, review, people, ("alice", "bob", "carol"))
    found = review("report")
    assert found["conflicts"] == found["nobody_left"] == [pair_id]
    said = hardcut("review", "report", sample.run, "--cache", sample.cache)[1]
    assert "invite another person" in said and "experts" in said and "invite another" in page_text(sample.run)
    owner, name = people["owner"], f"{sample.run.name}-adjudication"
    (record,) = owner.records(name)
    assert '"nobody_left":true' in record["fields"]["page"]["page"]
    assert shown_to(people["carol"], owner, name) == []

    settings = (sample.run / "run.toml").read_text()
    (sample.run / "run.toml").write_text(settings.replace("experts = []", 'experts = ["carol"]'))
    review("push", "--budget", "12")
    assert shown_to(people["carol"], owner, name) == [pair_id] and shown_to(people["bob"], owner, name) == []
    people["carol"].answer(record, "does_not")
    review("pull")
    judged = {each.pair_id: each for each in read_records(sample.run / Judgment.FILE, Judgment)}
    assert (judged[pair_id].source, judged[pair_id].grade) == ("adjudicated", 0)
    assert review("report")["conflicts"] == []
    (said,) = [each for each in reviews_of(sample.run) if each.expert]
    assert (said.reviewer, judged[pair_id].support) == ("carol", (said.review_id,))


def page_text(run: Path) -> str:
    return (run / "report.html").read_text()


def test_a_renamed_set_is_the_same_set(sample: Any, review: Review_, people: Any) -> None:
    review("push", "--budget", "6")
    owner, name = people["owner"], f"{sample.run.name}-assisted"
    sets = {each["name"]: each["id"] for each in owner.call("GET", "me/datasets")["items"]}
    owner.call("PATCH", f"datasets/{sets[name]}", json={"name": f"{name}-for-bob"})
    (record, *_) = owner.records(f"{name}-for-bob")
    people["bob"].answer(record, "answers")
    assert review("pull")["new"] == 1
    pushed = {each["set"]: each for each in review("push", "--budget", "6")["sets"]}
    assert (pushed["assisted"]["dataset"], pushed["assisted"]["pushed"]) == (f"{name}-for-bob", 0)
    now = {each["name"]: each["id"] for each in owner.call("GET", "me/datasets")["items"]}
    assert now.keys() - sets.keys() == {f"{name}-for-bob"} and name not in now, "no second set"


def test_an_answer_stays_when_its_record_is_deleted_and_made_again(sample: Any, review: Review_, people: Any) -> None:
    review("push", "--budget", "6")
    owner, name = people["owner"], f"{sample.run.name}-assisted"
    (record, *_) = owner.records(name)
    people["bob"].answer(record, "answers")
    assert review("pull")["new"] == 1
    (set_id,) = (each["id"] for each in owner.call("GET", "me/datasets")["items"] if each["name"] == name)
    owner.call("DELETE", f"datasets/{set_id}/records", params={"ids": record["id"]})
    assert sum(each["pushed"] for each in review("push", "--budget", "6")["sets"]) == 1
    told = review("pull")
    assert (told["reviews"], told["withdrawn"]) == (1, 0)


def test_an_answer_that_comes_while_a_push_runs_is_kept(
    sample: Any, review: Review_, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the deleting, and between the listing and a changed page."""
    review("push", "--budget", "24")
    before = {each["external_id"] for each in people["owner"].records(f"{sample.run.name}-blind")}
    delete, answered = argilla.ArgillaServer.delete_unanswered, []

    def answers_meanwhile(self: argilla.ArgillaServer, dataset: argilla.Handle, ids: Any) -> int:
        for record_id in ids[:1]:
            answered.append(record_id)
            people["bob"].answer({"id": record_id}, "answers")
        return delete(self, dataset, ids)

    monkeypatch.setattr(argilla.ArgillaServer, "delete_unanswered", answers_meanwhile)
    pushed = review("push", "--budget", "3")["sets"]
    assert len(answered) == 2 and sum(each["removed"] for each in pushed) > 2
    monkeypatch.undo()
    there = {each["external_id"]: each["id"] for each in people["owner"].records(f"{sample.run.name}-blind")}
    assert answered[0] in there.values() and len(there) < len(before)
    assert review("pull")["new"] == 2

    records = argilla.ArgillaServer.records

    def answers_after(self: argilla.ArgillaServer, dataset: argilla.Handle) -> Iterator[argilla.Remote]:
        listed = list(records(self, dataset))
        for each in listed:
            if not each.answers and each.record_id not in answered:
                answered.append(each.record_id)
                people["carol"].answer({"id": each.record_id}, "answers")
        return iter(listed)

    monkeypatch.setattr(argilla.ArgillaServer, "records", answers_after)
    config = sample.run.parent / "other.toml"
    config.write_text((sample.run / "run.toml").read_text().replace("preview_side = 160", "preview_side = 128"))
    pushed = review("push", "--budget", "3", "--config", config)["sets"]
    assert len(answered) > 2 and sum(each["pushed"] for each in pushed) == 0, "what was judged stays as it was judged"


def test_the_same_with_an_argilla_elsewhere(
    sample: Any, elsewhere: Connection, monkeypatch: pytest.MonkeyPatch, hardcut: Any, make_api: Any
) -> None:
    monkeypatch.setenv("ARGILLA_API_KEY", elsewhere.api_key)
    there: list[str | Path] = ["--url", elsewhere.url, "--workspace", "team", "--name", "my run"]
    push = [*there, "--videos", sample.videos, "--cache", sample.cache, "--budget", "6"]
    code, _, said = hardcut("review", "push", sample.run, *push)
    assert code == 0, said
    owner = make_api(elsewhere)
    names = {each["name"] for each in owner.call("GET", "me/datasets")["items"]}
    (name,) = {each for each in names if each.startswith("my-run-") and each.endswith("-assisted")}
    records = owner.records(name)
    pages = [record["fields"]["page"]["page"] for record in records]
    assert all('"url":"data:video/mp4;base64,' in page for page in pages), "clips travel inside the records"
    owner.answer(records[0], "does_not")
    code, out, said = hardcut("review", "pull", sample.run, *there)
    assert code == 0 and "1 new" in out, said
    (found,) = reviews_of(sample.run)
    assert (found.reviewer, found.relevance) == ("owner", 0)

    # What nobody could watch is not asked, and named.
    sizes = sorted(path.stat().st_size for path in (sample.run / "review" / "media").glob("*.mp4"))
    few = f"{sizes[len(sizes) // 2] / 1e6}"
    code, out, _ = hardcut("review", "push", sample.run, *push, "--name", "tiny", "--clip-limit", few)
    assert code == 1 and "not asked" in out and "--media-url" in out and "too large" in out
    pages = [
        record["fields"]["page"]["page"] for record in (*owner.records("tiny-blind"), *owner.records("tiny-assisted"))
    ]
    assert all('"url":"data:video/mp4;base64,' in page for page in pages), "whoever is asked can watch"

    # Larger clips by the user's own address.
    code, out, _ = hardcut(
        "review", "push", sample.run, *push, "--clip-limit", "0.0001", "--media-url", "https://m.test/x"
    )
    assert code == 0 and "put the files of" in out
    urls = [record["fields"]["page"]["page"] for record in owner.records(name) if not record["responses"]]
    assert urls and all('"url":"https://m.test/x/' in page for page in urls)
    assert list((sample.run / "review" / "media").glob("*.mp4"))
    for path in sample.run.rglob("*"):
        assert not path.is_file() or elsewhere.api_key.encode() not in path.read_bytes(), f"the key is in {path}"


def test_without_an_argilla_one_line_says_how_to_start_one(
    sample: Any, tmp_path: Path, hardcut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["push", sample.run, "--videos", sample.videos], ["pull", sample.run]):
        code, out, err = hardcut("review", *command, "--data", tmp_path / "none")
        assert (code, out, err.count("\n")) == (4, "", 1) and "hardcut review serve" in err
    monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    code, _, err = hardcut("review", "pull", sample.run, "--url", "http://127.0.0.1:9")
    assert code == 2 and "ARGILLA_API_KEY" in err
    monkeypatch.setenv("ARGILLA_API_KEY", "x")
    code, _, err = hardcut("review", "pull", sample.run, "--url", "http://127.0.0.1:9")
    assert code == 4 and err.count("\n") == 1 and "hardcut review serve" in err


def test_a_wrong_key_is_told(sample: Any, elsewhere: Connection, hardcut: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGILLA_API_KEY", "wrong")
    code, _, err = hardcut("review", "pull", sample.run, "--url", elsewhere.url)
    assert code == 2 and "refuses the API key" in err


def test_nothing_but_the_embedded_part_knows_of_the_server() -> None:
    root = Path(__file__).resolve().parents[3] / "annotate"
    for path in root.rglob("*.py"):
        if "embedded" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "argilla_server" not in text and "annotate.embedded" not in text, path
    assert sys.modules.get("argilla_server") is None
