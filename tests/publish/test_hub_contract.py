"""The test server and what we send, held against the Hub's published API.

The Hub publishes an OpenAPI description, and `pyhfapi` is a client that was made from it by a machine: its models are
the answers of that description, and its functions say which requests there are. Nothing of it is ours.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.publish.licences import HUB
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.settings import Settings

pyhfapi = pytest.importorskip("pyhfapi", reason="pip install pyhfapi: made from the Hub's description of its API")
import httpx  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from pyhfapi.resources.api.datasets.datasets import DatasetsResource  # noqa: E402
from pyhfapi.types.api.dataset_check_preupload_params import File as Asked  # noqa: E402
from pyhfapi.types.api.dataset_commit_response import DatasetCommitResponse  # noqa: E402
from pyhfapi.types.api.dataset_list_tree_content_response import DatasetListTreeContentResponseItem  # noqa: E402
from pyhfapi.types.api.repo_create_params import Variant0 as OfDataset  # noqa: E402

NAME = "org/set"
OF_THE_CLIENT_ALONE = {
    "GET /api/{kind}/{namespace}/{repo}",
    "GET /api/{kind}/{namespace}/{repo}/revision/{rev}",
    "GET /api/{kind}/{namespace}/{repo}/tree/{rev}",  # described with a path behind it
    "POST /api/validate-yaml",
    "POST /datasets/{namespace}/{repo}.git/info/lfs/objects/batch",  # git-lfs describes it
    "PUT /lfs/{oid}",  # where to, the answer of the batch says
}
"""What the Hub's own client asks and the description does not have. The client is its only witness."""


@pytest.fixture(scope="module")
def spoken(one_server: Any, quick_call: Any, versions: tuple[Path, Path], tmp_path_factory: Any) -> list[Any]:
    """Every request of a dataset that is published, published anew without one table, and pulled."""
    first, second = versions
    for folder in (first, second):
        done = quick_call("publish", folder, NAME, "--adopt")
        assert done.returncode == 0, done.stderr
    assert quick_call("pull", NAME, tmp_path_factory.mktemp("pulled") / "back").returncode == 0
    return list(one_server.requests)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, make: Any, write_run: Any) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("versions")
    records: list[Any] = []
    for i in range(12):
        query = make.query(f"something quite particular about the video of number {i * 7919}", f"v{i}")
        records += [make.video(f"v{i}", licence="cc0-1.0"), query, make.caption(f"v{i}", f"A caption of video {i}.")]
        pair = make.pair(query, f"v{i}")
        label = make.label(pair, "yes", 5.0)
        records += [pair, label, make.judgment(pair, 1, label)]
    settings = Settings(export=ExportSettings(name="sample", licence="cc0-1.0", train=0.6, validation=0.2))
    run = write_run(folder / "run", records)
    first = export(run, folder / "first", settings).out
    (run / "captions.jsonl").write_text("")
    return first, export(run, folder / "second", settings, options=ExportOptions(like=first)).out


@pytest.fixture(scope="module")
def client(one_server: Any, spoken: list[Any]) -> Iterator[Any]:
    """The client out of the description, which takes no answer that is not as described."""
    with pyhfapi.HuggingFace(
        api_key="hf_right", base_url=one_server.url, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


def test_the_server_answers_as_described(client: Any, one_server: Any) -> None:
    where = {"namespace": "org", "repo": "set"}
    datasets = client.api.datasets
    assert client.api.repos.create(type="dataset", name="other", organization="org", private=True).name == "org/other"
    head = datasets.list_refs(**where).branches[0].target_commit
    assert {tag.name for tag in datasets.list_refs(**where).tags} == {"v1.0.0", "v1.0.1"}
    entries = client.get(f"/api/datasets/{NAME}/tree/main", cast_to=list[DatasetListTreeContentResponseItem])
    assert any(one.lfs for one in entries) and {one.type for one in entries} == {"file"}
    files = [{"path": "a.txt", "size": 3, "sample": "YWJj"}]
    assert datasets.check_preupload("main", **where, files=files).files[0].upload_mode == "regular"
    lines = [
        {"key": "header", "value": {"summary": "by hand", "parentCommit": head}},
        {"key": "file", "value": {"path": "a.txt", "content": "abc", "encoding": "utf-8"}},
    ]
    done = _commit(one_server, lines)
    assert done.success and done.commit_oid != head and one_server.repos[NAME].files["a.txt"] == b"abc"
    datasets.tag.create(done.commit_oid, **where, tag="mine")
    assert "mine" in one_server.repos[NAME].tags
    header = {"key": "header", "value": {"summary": "away"}}
    _commit(one_server, [header, {"key": "deletedEntry", "value": {"path": "a.txt"}}])
    assert "a.txt" not in one_server.repos[NAME].files


def test_a_commit_on_what_has_moved_is_refused_as_by_the_hub(one_server: Any, spoken: list[Any]) -> None:
    """412, as `datasets` has it in `push_to_hub`: "Precondition failed (parent_commit isn't satisfied)"."""
    with pytest.raises(httpx.HTTPStatusError) as refused:
        _commit(one_server, [{"key": "header", "value": {"summary": "late", "parentCommit": f"{0:040x}"}}])
    assert refused.value.response.status_code == 412


def test_what_is_asked_is_described(spoken: list[Any]) -> None:
    described = {f"{method} {path}" for method, path in _paths()}
    asked = {_shape(one) for one in spoken}
    assert asked - described == OF_THE_CLIENT_ALONE
    assert len(asked & described) >= 6, asked


def test_what_is_sent_is_as_described(spoken: list[Any]) -> None:
    fields = _fields_of_a_commit()
    assert fields["header"]["summary"] == "REQUIRED"
    commits = [one for one in spoken if "/commit/" in one.path]
    checks = [one for one in spoken if "/preupload/" in one.path]
    assert len(commits) == 2 and checks
    for one in checks:
        TypeAdapter(list[Asked]).validate_python(json.loads(one.body)["files"], strict=False)
    kinds = set()
    for one in commits:
        assert one.headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in one.body.splitlines()]
        assert lines[0]["key"] == "header" and re.fullmatch("[0-9a-f]{40}", lines[0]["value"]["parentCommit"])
        for line in lines:
            # The client's word for a file; the description has one for files and folders.
            name = {"deletedFile": "deletedEntry"}.get(line["key"], line["key"])
            required = {field for field, need in fields[name].items() if need == "REQUIRED"}
            assert required <= line["value"].keys() <= fields[name].keys(), line["key"]
            kinds.add(name)
    assert kinds == {"header", "file", "lfsFile", "deletedEntry"}


def test_every_licence_that_a_card_may_name_is_one_of_the_hubs() -> None:
    """`POST /api/repos/create` lists what the Hub takes as `license`."""
    taken = set(typing.get_args(typing.get_type_hints(OfDataset)["license"]))
    assert len(taken) > 50 and taken >= HUB, HUB - taken


def _commit(server: Any, lines: list[Any]) -> Any:
    """Sent by hand: the client has no argument for the lines of a commit."""
    headers = {"Content-Type": "application/x-ndjson", "Authorization": "Bearer hf_right"}
    body = "".join(json.dumps(line) + "\n" for line in lines)
    answer = httpx.post(f"{server.url}/api/datasets/{NAME}/commit/main", headers=headers, content=body)
    answer.raise_for_status()
    return DatasetCommitResponse.model_validate(answer.json())


def _paths() -> set[tuple[str, str]]:
    """The requests that the client's functions make: method and path, with `{kind}` for datasets and models."""
    found = set()
    for path in (Path(pyhfapi.__file__).parent / "resources").rglob("*.py"):
        calls = re.findall(r"self\._(get|post|put|delete|head)\(\s*f?\"([^\"]+)\"", path.read_text("utf-8"))
        found |= {
            (method.upper(), re.sub("^/api/(datasets|models)/", "/api/{kind}/", asked)) for method, asked in calls
        }
    assert len(found) > 50
    return found


def _shape(request: Any) -> str:
    """A request as the description names it."""
    path = re.sub("^/api/(datasets|models)/org/set", "/api/{kind}/{namespace}/{repo}", request.path)
    path = re.sub("^/datasets/org/set", "/datasets/{namespace}/{repo}", path)
    path = re.sub("/(commit|preupload|tag|tree|revision)/[^/]+$", r"/\1/{rev}", path)
    path = re.sub("/resolve/[^/]+/.+$", "/resolve/{rev}/{path}", path)
    path = re.sub("^/lfs/.+$", "/lfs/{oid}", path)
    return f"{'GET' if request.method == 'HEAD' else request.method} {path}"


def _fields_of_a_commit() -> dict[str, dict[str, str]]:
    """The fields of each line of a commit, and whether it must have them, out of the description's words."""
    words = str(DatasetsResource.commit.__doc__).split("JSON payload:")[0]
    lines = re.findall(r'"key": "(\w+)",\s*"value": \{(.*?)\}', words, re.DOTALL)
    return {key: dict(re.findall(r'"(\w+)": "[^"(]*\((REQUIRED|OPTIONAL)', value)) for key, value in lines}
