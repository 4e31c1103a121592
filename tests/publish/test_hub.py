"""The Hub's own client against a server that speaks its API: uploads that are repeated, updated, killed, altered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.publish.card_merge import CardConflict, merge_cards
from hardcut.publish.dataset import verify
from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.settings import Settings

Call = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = Settings(export=ExportSettings(name="sample", licence="cc0-1.0", train=0.6, validation=0.2))


@pytest.fixture
def hub_server(server: Any) -> Any:
    """The module of the server."""
    return sys.modules[type(server).__module__]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(server: Any) -> dict[str, bytes]:
    beside = (".gitattributes", ".hardcut/card.md", ".hardcut/files.json")
    return {name: body for name, body in server.repos["org/set"].files.items() if name not in beside}


def test_a_dataset_goes_there_and_comes_back(server: Any, call: Call, dataset: Path, tmp_path: Path) -> None:
    done = call("publish", dataset, "org/set")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert published(server) == content(dataset) and server.repos["org/set"].private
    assert set(told["sent"]) == {*content(dataset), ".hardcut/card.md"} and told["tag"] == "v1.0.0" and server.puts
    assert len(server.repos["org/set"].commits) == 2, "one commit: readers see the old version or the new one"
    back = call("pull", "org/set", tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert content(tmp_path / "back") == content(dataset)
    assert all(b"hf_right" not in body for body in content(tmp_path).values()), "the token is nowhere"


def test_the_splits_of_earlier_versions_go_along(call: Call, dataset: Path, tmp_path: Path) -> None:
    changed = SETTINGS.model_copy(update={"export": SETTINGS.export.model_copy(update={"seed": 1})})
    grown = export(tmp_path / "run", tmp_path / "grown", changed, options=ExportOptions(like=dataset)).out
    assert "assigned.jsonl" in json.loads(call("publish", grown, "org/grown").stdout)["sent"]
    call("pull", "org/grown", tmp_path / "back")
    for name in ("assigned.jsonl", "CHANGELOG.md"):
        assert (tmp_path / "back" / name).read_bytes() == (grown / name).read_bytes()


def test_an_unchanged_dataset_sends_nothing(server: Any, call: Call, dataset: Path) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    before = (len(server.puts), server.committed_files, len(server.repos["org/set"].commits))
    again = json.loads(call("publish", dataset, "org/set").stdout)
    assert again["sent"] == [] and again["deleted"] == [] and again["tag"] is None
    assert (len(server.puts), server.committed_files, len(server.repos["org/set"].commits)) == before


def test_an_update_sends_what_changed_and_removes_what_is_gone(
    server: Any, call: Call, dataset: Path, tmp_path: Path
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    stale = {"data/pairs/train-00001-of-00002.parquet": b"PAR1 of an older version", "LICENSE.txt": b"by somebody else"}
    server.repos["org/set"].commits.append({**server.repos["org/set"].files, **stale})
    before = len(server.puts)
    changed = Settings(export=SETTINGS.export.model_copy(update={"name": "renamed"}))
    export(tmp_path / "run", dataset, changed, options=ExportOptions(new_splits=True))
    refused = call("publish", dataset, "org/set", "rc1")
    assert refused.returncode == 2 and "train-00001-of-00002.parquet was put or changed there" in refused.stderr
    told = json.loads(call("publish", dataset, "org/set", "rc1", "--adopt").stdout)
    assert (
        set(told["sent"]) == {"README.md", "hardcut.json", "recipe.jsonl", ".hardcut/card.md"} == set(told["replaced"])
        and told["tag"] == "rc1"
    )
    assert told["deleted"] == ["data/pairs/train-00001-of-00002.parquet"]
    assert len(server.puts) - before <= 3  # the card twice is one object; the marker and the recipe
    assert {**content(dataset), "LICENSE.txt": b"by somebody else"} == published(server)
    old = call("pull", "org/set", tmp_path / "old", "v1.0.0")
    assert old.returncode == 0 and b"renamed" not in (tmp_path / "old" / "README.md").read_bytes()


def test_what_people_add_beside_the_tables_stays_and_is_not_pulled(
    server: Any, call: Call, dataset: Path, tmp_path: Path
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    theirs = {
        "LICENSE": b"MIT",
        "data/notes.md": b"x",
        "data/pairs/mine.csv": b"a",
        "plots/mine.png": b"p",
        "loader.py": b"import os",
    }
    server.repos["org/set"].commits.append({**server.repos["org/set"].files, **theirs})
    again = json.loads(call("publish", dataset, "org/set").stdout)
    assert again["deleted"] == [] and theirs.items() <= server.repos["org/set"].files.items()
    pulled = call("pull", "org/set", tmp_path / "again")
    assert pulled.returncode == 0, pulled.stderr
    assert content(tmp_path / "again") == content(dataset)


def test_an_upload_killed_in_the_middle_goes_on(
    server: Any, call: Call, environment: dict[str, str], dataset: Path, hub_program: list[str], hub_server: Any
) -> None:
    large = [name for name, body in content(dataset).items() if len(body) > hub_server.LFS_ABOVE]
    assert len(large) > 4
    reached = threading.Event()

    def hang(number: int) -> bool:
        if number == 3:
            reached.set()
        return number != 3

    server.on_put = hang
    line = [*hub_program, "publish", str(dataset), "org/set"]
    with subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.kill()
    assert len(server.puts) == 3 and len(server.repos["org/set"].commits) == 1, "nothing half done is to be seen"
    server.on_put = lambda number: True
    done = call("publish", dataset, "org/set")
    assert done.returncode == 0, done.stderr
    assert published(server) == content(dataset)
    assert len(server.puts) == len(set(server.puts)), "no file was sent twice"


def test_a_tag_of_another_version_is_never_claimed(server: Any, call: Call, dataset: Path, tmp_path: Path) -> None:
    assert json.loads(call("publish", dataset, "org/set", "final").stdout)["tag"] == "final"
    export(tmp_path / "run", dataset, Settings(export=SETTINGS.export.model_copy(update={"name": "renamed"})))
    before = len(server.puts), len(server.repos["org/set"].commits)
    refused = call("publish", dataset, "org/set", "final")
    assert refused.returncode == 2 and "the tag final is another version's" in refused.stderr
    assert (len(server.puts), len(server.repos["org/set"].commits)) == before


def test_the_tag_is_the_version_on_the_card(server: Any, call: Call, dataset: Path, tmp_path: Path) -> None:
    """Tags of earlier versions of Hardcut stay and can be pulled. A version that is there is not overwritten."""
    assert json.loads(call("publish", dataset, "org/set").stdout)["tag"] == "v1.0.0"
    repo = server.repos["org/set"]
    repo.tags = {"v1": repo.tags["v1.0.0"], "v2": repo.tags["v1.0.0"]}  # as version 0.1.0 tagged
    first = tmp_path / "first"
    assert call("pull", "org/set", first, "v2").returncode == 0
    for version, name in (("1.0.1", "renamed"), ("1.0.2", "again")):
        options = ExportOptions(like=first)
        settings = Settings(export=SETTINGS.export.model_copy(update={"name": name}))
        out = export(tmp_path / "run", tmp_path / name, settings, options=options).out
        assert f"**Version {version}**" in (out / "README.md").read_text()
        assert json.loads(call("publish", out, "org/set").stdout)["tag"] == f"v{version}"
        first = out
    other = Settings(export=SETTINGS.export.model_copy(update={"name": "other"}))
    out = export(tmp_path / "run", tmp_path / "other", other, options=ExportOptions(like=tmp_path / "renamed")).out
    before = len(server.puts), len(repo.commits)
    refused = call("publish", out, "org/set")
    assert refused.returncode == 2 and "v1.0.2 is there already" in refused.stderr and "--like" in refused.stderr
    assert (len(server.puts), len(repo.commits)) == before
    assert json.loads(call("publish", out, "org/set", "v1.0.3").stdout)["tag"] == "v1.0.3"
    assert set(repo.tags) == {"v1", "v2", "v1.0.1", "v1.0.2", "v1.0.3"}


def test_a_version_that_was_cut_off_before_its_tag_gets_it(
    server: Any, call: Call, dataset: Path, hub_server: Any
) -> None:
    server.takes_tags = False
    server.repos["org/set"] = hub_server.Repo(private=False)
    cut = call("publish", dataset, "org/set")
    assert cut.returncode == 4 and len(cut.stderr.splitlines()) == 1, "no progress bar where nobody looks"
    assert published(server) == content(dataset) and not server.repos["org/set"].tags
    server.takes_tags = True
    told = json.loads(call("publish", dataset, "org/set").stdout)
    assert told["sent"] == [] and told["tag"] == "v1.0.0" and server.repos["org/set"].tags == {"v1.0.0": 1}
    assert told["private"] is False, "as it was, whatever was asked"


def test_what_was_changed_behind_is_refused(server: Any, call: Call, dataset: Path, tmp_path: Path) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    server.repos["org/set"].files["left_out.jsonl"] += b"{}"
    done = call("pull", "org/set", tmp_path / "back")
    assert done.returncode == 2 and "left_out.jsonl: altered" in done.stderr and not (tmp_path / "back").exists()
    (dataset / "left_out.jsonl").write_text("{}\n")
    refused = call("publish", dataset, "org/set")
    assert refused.returncode == 2 and "left_out.jsonl: altered" in refused.stderr


def test_what_people_write_on_the_card_is_pulled_and_kept(
    server: Any, call: Call, dataset: Path, tmp_path: Path
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    repo = server.repos["org/set"]
    card = repo.files["README.md"].decode()
    first, rest = card.split("\n# ", 1)
    mine = first.replace("tags:\n", "tags:\n- ours-too\n", 1) + "\n# " + rest + "\n## Thanks\n\nTo all who filmed.\n"
    repo.commits.append({**repo.files, "README.md": mine.encode()})
    back = call("pull", "org/set", tmp_path / "back")
    assert back.returncode == 0 and back.stdout == "true\n", back.stderr
    assert (tmp_path / "back" / "README.md").read_text() == mine
    assert not verify(tmp_path / "back"), "it can be used, exported and published"
    for name in ("renamed", "renamed again"):  # the second has people's words in what was published before
        renamed = Settings(export=SETTINGS.export.model_copy(update={"name": name}))
        export(tmp_path / "run", dataset, renamed, options=ExportOptions(like=dataset))
        told = json.loads(call("publish", dataset, "org/set").stdout)
        assert "README.md" in told["sent"]
        now = repo.files["README.md"].decode()
        assert "To all who filmed." in now and "- ours-too" in now and f"pretty_name: {name}\n" in now
        assert now.replace("- ours-too\n", "").replace("\n## Thanks\n\nTo all who filmed.\n", "") == (
            (dataset / "README.md").read_text()
        )
    unchanged = json.loads(call("publish", dataset, "org/set").stdout)
    assert unchanged["sent"] == []


def test_an_edit_that_the_new_version_changes_too_is_told_and_lost_only_if_told(
    server: Any, call: Call, dataset: Path, tmp_path: Path
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    repo = server.repos["org/set"]
    mine = repo.files["README.md"].replace(b"pretty_name: sample", b"pretty_name: The Sample")
    repo.commits.append({**repo.files, "README.md": mine})
    renamed = Settings(export=SETTINGS.export.model_copy(update={"name": "renamed"}))
    export(tmp_path / "run", dataset, renamed, options=ExportOptions(like=dataset))
    before = len(repo.commits)
    refused = call("publish", dataset, "org/set")
    assert refused.returncode == 2 and "'pretty_name: The Sample' was edited there" in refused.stderr
    assert len(repo.commits) == before and repo.files["README.md"] == mine
    assert call("publish", dataset, "org/set", "--adopt").returncode == 0
    assert repo.files["README.md"] == (dataset / "README.md").read_bytes()


def test_an_edited_card_of_a_version_that_kept_no_copy_is_not_overwritten(
    server: Any, call: Call, dataset: Path, tmp_path: Path
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    repo = server.repos["org/set"]
    del repo.files[".hardcut/card.md"]
    renamed = Settings(export=SETTINGS.export.model_copy(update={"name": "renamed"}))
    export(tmp_path / "run", dataset, renamed, options=ExportOptions(like=dataset))
    repo.commits.append({**repo.files, "README.md": repo.files["README.md"] + b"by hand"})
    refused = call("publish", dataset, "org/set")
    assert refused.returncode == 2 and "save what people wrote" in refused.stderr
    repo.commits.append(dict(repo.commits[-2]))
    assert call("publish", dataset, "org/set").returncode == 0, "nobody edited it"


@pytest.mark.parametrize("kind", ["publish", "model"])
def test_a_repository_of_others_is_left_alone_unless_it_is_adopted(
    server: Any, call: Call, dataset: Path, tmp_path: Path, kind: str, hub_server: Any
) -> None:
    folder = dataset
    if kind == "model":
        folder = tmp_path / "model"
        folder.mkdir()
        for name in ("modules.json", "train.json", "config.json"):
            (folder / name).write_text("{}")
        (folder / "README.md").write_text("---\nlibrary_name: sentence-transformers\n---\n# A model\n")
    theirs = {"README.md": b"# Theirs", "data/train.parquet": b"PAR1", "config.json": b"{1}", "LICENSE": b"MIT"}
    server.repos["org/set"] = hub_server.Repo(private=False, commits=[theirs])
    for more in ((), ("--dry-run",)):
        refused = call(kind, folder, "org/set", *more)
        assert refused.returncode == 2 and "Hardcut did not make this repository" in refused.stderr, refused.stderr
        assert server.repos["org/set"].commits == [theirs] and not server.puts
    told = json.loads(call(kind, folder, "org/set", "--adopt", "--dry-run").stdout)
    assert server.repos["org/set"].commits == [theirs] and not server.puts and not server.repos["org/set"].tags
    assert "README.md" in told["replaced"] and "LICENSE" not in told["deleted"]
    assert told["deleted"] == (["data/train.parquet"] if kind == "publish" else [])
    done = json.loads(call(kind, folder, "org/set", "--adopt").stdout)
    assert {name: done[name] for name in ("sent", "replaced", "deleted")} == {
        name: told[name] for name in ("sent", "replaced", "deleted")
    }
    again = json.loads(call(kind, folder, "org/set").stdout)
    assert again["sent"] == [] and server.repos["org/set"].files["LICENSE"] == b"MIT"


def test_a_dry_run_makes_no_repository(server: Any, call: Call, dataset: Path) -> None:
    told = json.loads(call("publish", dataset, "org/set", "--dry-run").stdout)
    assert set(told["sent"]) == {*content(dataset), ".hardcut/card.md"} and told["tag"] == "v1.0.0"
    assert not server.repos and not server.puts


def test_cards_are_merged_by_lines() -> None:
    before = "a\nb\nc\nd\ne\n"
    assert merge_cards(before, before, "a\nB\nc\nd\ne\n") == "a\nB\nc\nd\ne\n"
    assert merge_cards(before, "a\nb\nc\nd\nE\nf\n", "A\nb\nc\nd\ne\n") == "A\nb\nc\nd\nE\nf\n"
    assert merge_cards(before, "b\nc\nd\ne\n", "a\nb\nc\nx\nd\ne\n") == "b\nc\nx\nd\ne\n"
    assert merge_cards(before, "a\nB\nc\nd\ne\n", "a\nB\nc\nd\ne\n") == "a\nB\nc\nd\ne\n"
    with pytest.raises(CardConflict, match="'B' was edited there"):
        merge_cards(before, "a\nB\nc\nd\ne\n", "a\nX\nc\nd\ne\n")


@pytest.mark.parametrize(
    "repo, change, status, message",
    [
        ("org/set", {"HF_TOKEN": "hf_wrong"}, 4, "HF_TOKEN"),
        ("a b c", {}, 2, "no name on the Hub"),
        ("org/set", {"HF_ENDPOINT": "http://127.0.0.1:9"}, 4, "cannot be reached"),
        ("org/set", {"HF_HUB_OFFLINE": "1"}, 4, "offline"),
    ],
)
def test_what_goes_wrong_is_one_line(
    call: Call, dataset: Path, repo: str, change: dict[str, str], status: int, message: str
) -> None:
    done = call("publish", dataset, repo, **change)
    assert done.returncode == status, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr and "hf_wrong" not in done.stderr


def test_a_pull_without_a_network_says_that_it_was_switched_off(call: Call, tmp_path: Path) -> None:
    done = call("pull", "org/set", tmp_path / "back", HF_HUB_OFFLINE="1")
    assert done.returncode == 4 and "unset the `HF_HUB_OFFLINE`" in done.stderr and done.stderr.count("\n") == 1


def test_a_repository_of_others_is_no_dataset(server: Any, call: Call, tmp_path: Path, hub_server: Any) -> None:
    server.repos["org/other"] = hub_server.Repo(private=False)
    done = call("pull", "org/other", tmp_path / "back")
    assert done.returncode == 2 and "no hardcut.json" in done.stderr


def test_a_model_goes_there_without_its_checkpoints(server: Any, call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-1" / "optimizer.pt").write_bytes(b"x")
    unfinished = call("model", folder, "org/set")
    assert unfinished.returncode == 2 and "no finished training" in unfinished.stderr
    for name in ("modules.json", "train.json", "adapter_config.json"):
        (folder / name).write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(os.urandom(2000))
    (folder / "README.md").write_text("---\nlibrary_name: sentence-transformers\n---\n# A model\n")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path)}))
    here = call("model", folder, "org/set")
    assert here.returncode == 2 and "which nobody else has" in here.stderr and "--merge" in here.stderr
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Instruct"}))
    done = call("model", folder, "org/set")
    assert done.returncode == 0, done.stderr
    sent = {"modules.json", "train.json", "adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert set(published(server)) == sent and server.repos["org/set"].private
    again = json.loads(call("model", folder, "org/set").stdout)
    assert again["sent"] == [] and again["unchanged"] == 7
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_model.safetensors").rename(folder / "model.safetensors")
    theirs = {"eval_results.json": b"{}", "onnx/model.json": b"{}"}
    server.repos["org/set"].commits.append({**server.repos["org/set"].files, **theirs})
    gone = json.loads(call("model", folder, "org/set").stdout)["deleted"]
    assert gone == ["adapter_config.json", "adapter_model.safetensors"], "a model whose list is there"
    del server.repos["org/set"].commits[-1][".hardcut/files.json"]
    unsure = call("model", folder, "org/set")
    assert unsure.returncode == 2 and "so eval_results.json may be somebody else's, and 1 more" in unsure.stderr
    assert theirs.items() <= server.repos["org/set"].files.items()
    (folder / "weights.bin").write_bytes(b"pickle")
    assert "weights.bin: no file of a model" in call("model", folder, "org/set").stderr


@pytest.mark.parametrize("where", ["the folder", "the hub's cache"])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_nothing_is_left_on_a_disk_without_room_for_what_is_fetched(
    call: Call, dataset: Path, tmp_path: Path, small_disk: Any, fill: Any, where: str, how: str
) -> None:
    assert call("publish", dataset, "org/set").returncode == 0
    disk = small_disk()
    fill(disk, 12_288, read_only=how == "read-only")
    home = disk / "home" if where == "the hub's cache" else tmp_path / "home"
    out = disk / "back" if where == "the folder" else tmp_path / "back"
    done = call("pull", "org/set", out, HF_HOME=str(home))
    assert done.returncode == 4 and done.stderr.count("\n") == 1, done.stderr
    assert ("space" if how == "full" else "read-only") in done.stderr.lower(), done.stderr
    assert not out.exists()
    assert not [path for path in out.parent.rglob("*") if path.is_file() and path.suffix == ".parquet"] or (
        where == "the hub's cache"
    )


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_publishing_writes_nothing_here(
    call: Call, server: Any, dataset: Path, small_disk: Any, fill: Any, how: str
) -> None:
    disk = small_disk()
    fill(disk, read_only=how == "read-only")
    done = call("publish", dataset, "org/set", HF_HOME=str(disk / "home"), TMPDIR=str(disk))
    assert done.returncode == 0, done.stderr
    assert published(server) == content(dataset)
