"""Starting, stopping, killing and crowding the server."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from hardcut.annotate.embedded.environment import lease
from hardcut.annotate.embedded.server import Order, connection, running
from hardcut.media.lease import exclusive_lock
from hardcut.schemas.errors import HardcutError, Unreachable, UsageError

REVIEWERS = tuple(f"reviewer{number:02}" for number in range(16))


def _answers(owner: Any, dataset: str) -> dict[tuple[str, str], str]:
    """What the server has: (record, user) -> relevance. A pair that is there twice fails."""
    found: dict[tuple[str, str], str] = {}
    for offset in range(0, 10_000, 500):
        page = owner.call("GET", f"datasets/{dataset}/records", include="responses", offset=offset, limit=500)
        for record in page["items"]:
            for response in record["responses"]:
                key = (record["id"], response["user_id"])
                assert key not in found, "doubled"
                found[key] = response["values"]["relevance"]["value"]
        if offset + 500 >= page["total"]:
            break
    return found


def _records(count: int) -> list[dict[str, Any]]:
    return [{"external_id": f"r{n}", "fields": {"query": f"query {n}", "note": ""}} for n in range(count)]


def test_up_in_time_and_gone_without_a_trace(argilla_python: Path, tmp_path: Path, api: Callable[..., Any]) -> None:
    data = tmp_path / "argilla"
    with running(argilla_python, data, Order(port=0)) as server:
        process = psutil.Process(server.pid)
        assert sum(process.cpu_times()[:2]) < 15, "seconds of work until it is up: the issue's limit"
        assert process.memory_info().rss < 400e6
        assert set(server.passwords) == {"owner", "reviewer"}
        assert server.url.startswith("http://127.0.0.1:")
        listens = [one.laddr.ip for one in process.net_connections() if one.status == "LISTEN"]
        assert listens == ["127.0.0.1"]
        assert api(data).call("GET", "me")["role"] == "owner"
        assert (data / "tmp").is_dir()
        with exclusive_lock(lease(argilla_python)) as free:
            assert not free, "its environment is not removed while it runs"
    assert not psutil.pid_exists(server.pid)
    left = {path.name for path in data.iterdir()}
    assert left == {"argilla.db", "media", "server.lock", "server.log", "server_id.dat"}
    connection_fails(data)
    for path in (data, *data.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} is for its owner alone"


def refused(python: Path, data: Path, order: Order, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised, running(python, data, order):
        pass
    assert "\n" not in str(raised.value)


def connection_fails(data: Path) -> str:
    with pytest.raises(Unreachable) as raised:
        connection(data)
    assert raised.value.status == 4
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_where_nothing_ever_ran_there_is_one_line(tmp_path: Path) -> None:
    said = connection_fails(tmp_path / "run" / "argilla")
    assert said.endswith(f"start one with `hardcut review serve {tmp_path / 'run'}` and leave it running")


def test_passwords_log_in_and_are_shown_once(
    argilla_python: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def log_in(url: str, name: str, password: str) -> int:
        form = {"username": name, "password": password}
        return httpx.post(f"{url}/api/v1/token", data=form, timeout=60).status_code

    with running(argilla_python, tmp_path, Order(port=0, reviewers=("alice",))) as server:
        first = dict(server.passwords)
        assert all(log_in(server.url, name, password) == 201 for name, password in first.items())
        assert log_in(server.url, "alice", first["owner"]) == 401
        links = connection(tmp_path).media_url("a.mp4")
    order = Order(port=0, reviewers=("alice", "bob"), new_passwords=("alice",))
    with running(argilla_python, tmp_path, order) as server:
        assert set(server.passwords) == {"alice", "bob"}
        assert log_in(server.url, "alice", server.passwords["alice"]) == 201
        assert log_in(server.url, "alice", first["alice"]) == 401
        assert log_in(server.url, "owner", first["owner"]) == 201
        assert connection(tmp_path).media_url("a.mp4") == links, "links outlive a restart"
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
        assert not any(password.encode() in kept for password in [*first.values(), *server.passwords.values()])
        others = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith("argilla.db")]
        key = connection(tmp_path).api_key.encode()
        assert not any(key in path.read_bytes() for path in others), "the key is in the database alone"
    refused(argilla_python, tmp_path, Order(port=0, new_passwords=("eve",)), "no user 'eve'")


def test_a_second_server_and_a_taken_port_are_refused_in_a_line(
    argilla_python: Path, one_argilla: Path, tmp_path: Path
) -> None:
    refused(argilla_python, one_argilla, Order(port=0), "another server runs on this data")
    port = int(connection(one_argilla).url.rsplit(":", 1)[1])
    refused(argilla_python, tmp_path, Order(port=port), f"port {port}: .*--port")
    assert httpx.get(f"{connection(one_argilla).url}/api/v1/status", timeout=60).status_code == 200, (
        "the first one goes on"
    )


@pytest.mark.parametrize("name", ["", "a b", "../x", "owner", "-x", "a\nb", "<b>"])
def test_names_of_reviewers_are_checked(name: str) -> None:
    with pytest.raises(UsageError, match="reviewer"):
        Order(reviewers=(name,))


def test_killed_in_the_middle_of_200_answers_every_acknowledged_one_is_there(
    argilla: Callable[..., Any], tmp_path: Path, api: Callable[..., Any]
) -> None:
    """SIGKILL while four reviewers give 200 answers, two to a record."""
    dice = random.Random()
    names = ("alice", "bob", "carol", "dave")
    server = argilla(tmp_path, *names)
    owner = api(tmp_path)
    dataset = owner.dataset("killed", min_submitted=2)
    users = {user["username"]: user["id"] for user in owner.call("GET", "users")["items"]}
    todo = [(record, name) for record in owner.push(dataset, _records(100)) for name in dice.sample(names, 2)]
    clients = {name: api(tmp_path, name) for name in names}
    enough = dice.randint(60, 120)
    given = _answer_until_killed(server.pid, clients, todo, enough)
    assert enough <= len(given) < 200

    argilla(tmp_path)  # the lock of the killed one is in nobody's way
    owner = api(tmp_path)
    here = _answers(owner, dataset)
    assert {(record, users[name]): value for (record, name), value in given.items()}.items() <= here.items(), "lost"
    completed = sum(count >= 2 for count in Counter(record for record, _ in here).values())
    assert owner.call("GET", f"datasets/{dataset}/progress")["completed"] == completed, "status of records, mended"
    assert len(list((tmp_path / "tmp").iterdir())) == 1, "what the killed one left is gone"


def _answer_until_killed(
    pid: int, clients: Mapping[str, Any], todo: Sequence[tuple[str, str]], enough: int
) -> dict[tuple[str, str], str]:
    """What was acknowledged, by record and name, when the server was killed after `enough` answers."""
    acknowledged: dict[tuple[str, str], str] = {}
    lock = threading.Lock()

    def answer(one: tuple[str, str]) -> None:
        record, name = one
        value = ("yes", "part", "no")[int(record[-4:], 16) % 3]
        try:
            clients[name].answer(record, value)
        except httpx.TransportError:
            return  # not acknowledged
        with lock:
            acknowledged[one] = value
            if len(acknowledged) == enough:
                os.kill(pid, signal.SIGKILL)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(answer, todo))
    return acknowledged


def test_sixteen_reviewers_at_once_lose_and_double_nothing(
    tmp_path: Path, argilla: Callable[..., Any], api: Callable[..., Any]
) -> None:
    assert set(argilla(tmp_path, *REVIEWERS).passwords) == {"owner", *REVIEWERS}
    owner = api(tmp_path)
    dataset = owner.dataset("crowd", min_submitted=16)
    records = owner.push(dataset, _records(5))
    users = {user["username"]: user["id"] for user in owner.call("GET", "users")["items"]}
    apis = {name: api(tmp_path, name) for name in REVIEWERS}
    barrier = threading.Barrier(len(REVIEWERS))

    def review(name: str) -> dict[tuple[str, str], str]:
        """Opens the next record and answers it, until nothing is left; the page's own calls."""
        given: dict[tuple[str, str], str] = {}
        dice = random.Random(name)
        barrier.wait()
        while True:
            todo = {"filters": {"and": [_mine("pending")]}}
            found = apis[name].call("POST", f"me/datasets/{dataset}/records/search", todo, limit=1)
            if not found["items"]:
                return given
            record = found["items"][0]["record"]["id"]
            assert (record, users[name]) not in given, "shown again after its answer"
            given[record, users[name]] = dice.choice(("yes", "part", "no"))
            apis[name].answer(record, given[record, users[name]])

    with ThreadPoolExecutor(len(REVIEWERS)) as pool:
        said = [pair for given in pool.map(review, REVIEWERS) for pair in given.items()]
    assert len(said) == 16 * 5
    assert _answers(owner, dataset) == dict(said)
    assert owner.call("GET", f"datasets/{dataset}/progress")["completed"] == len(records)


def _mine(*status: str) -> dict[str, Any]:
    return {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": list(status)}


def test_a_server_ends_with_the_process_that_started_it(argilla_python: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hardcut.annotate.embedded.server import Order, running\n"
        "with running(Path(sys.argv[1]), Path(sys.argv[2]), Order(port=0)) as server:\n"
        " print(server.pid, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, argilla_python, tmp_path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        server.wait(60)
    assert not (tmp_path / "tmp").exists(), "and it ends cleanly"
    connection_fails(tmp_path)


def test_a_broken_database_is_told_in_one_line_with_its_log(argilla_python: Path, tmp_path: Path) -> None:
    (tmp_path / "argilla.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(HardcutError, match=r"not a database.*server\.log") as raised,
        running(argilla_python, tmp_path, Order(port=0)),
    ):
        pass
    assert "\n" not in str(raised.value)
