"""What `publish` does in situations that people get into: nothing on the Hub is lost that was not shown before.

Each situation is planted on a server that speaks the Hub's API, the Hub's own client talks to it, and after each call
the same is asked: is all that is gone or replaced in what `--dry-run` showed, are the commits, tags and branches of
before still there, is the folder here as it was. `docs/publishing.md` has the table of them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hardcut.publish.export_dataset import ExportOptions, export
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "publishing.md"
NAME = "org/set"
TABLE = "data/pairs/train-00000-of-00001.parquet"
WEIGHTS = "model.safetensors"


@dataclass
class Scene:
    """A repository that holds a version, and a folder that holds the next one."""

    server: Any
    module: Any
    call: Any
    folder: Path
    kind: str
    is_dry: bool = True
    """Whether the call that runs is a dry run."""
    tags_wanted: int | None = None
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def repo(self) -> Any:
        return self.server.repos[NAME]

    def commit(self, **files: bytes | None) -> None:
        """Somebody else's commit: contents by path, None of what they remove. `__` in a name is a slash."""
        named = {name.replace("__", "/"): body for name, body in files.items()}
        whole = {**self.repo.files, **named}
        self.repo.commits.append({name: body for name, body in whole.items() if body is not None})

    @property
    def big(self) -> str:
        """A file of ours that changes with the next version, and that the Hub keeps by its digest."""
        return WEIGHTS if self.kind == "model" else "recipe.jsonl"

    @property
    def mark(self) -> str:
        return "train.json" if self.kind == "model" else "hardcut.json"

    def answer(self, what: str, status: int, times: int = 1) -> None:
        """The server answers requests to `what` with a status, so often."""
        left = [times]

        def one(request: web.Request) -> web.Response | None:
            if what in request.path and left[0]:
                left[0] -= 1
                return web.json_response({"error": "no"}, status=status)
            return None

        self.server.on_request = one


@dataclass(frozen=True)
class Expected:
    """How a call ends, and how the same call ends once the trouble is over. `over`
    ends it, and looks at what the first call did."""

    status: int
    says: str = ""
    again: int = 0
    over: Callable[[], object] = lambda: None


Plant = Callable[[Scene], Expected]
SITUATIONS: dict[str, tuple[str, tuple[str, ...], Plant]] = {}
"""What publish does, for which kinds, and how it is planted, by what happened."""
BOTH, DATASET = ("publish", "model"), ("publish",)


def situation(what: str, then: str, kinds: tuple[str, ...] = BOTH) -> Callable[[Plant], Plant]:
    def noted(plant: Plant) -> Plant:
        SITUATIONS[what] = then, kinds, plant
        return plant

    return noted


@situation("there is no such repository", "makes it, private; a dry run makes none")
def missing(scene: Scene) -> Expected:
    del scene.server.repos[NAME]
    return Expected(0)


@situation("the repository is somebody else's", "refuses")
def foreign(scene: Scene) -> Expected:
    scene.repo.commits[:] = [{"README.md": b"# Theirs", "data/x.parquet": b"PAR1", "config.json": b"{1}"}]
    return Expected(2, "Hardcut did not make this repository", again=2)


@situation("the same, with `--adopt`", "takes it over; a dry run shows what is replaced and removed")
def adopted(scene: Scene) -> Expected:
    scene.repo.commits[:] = [{"README.md": b"# Theirs", "data/x.parquet": b"PAR1", "config.json": b"{1}", "L": b"MIT"}]
    scene.arguments = ("--adopt",)
    return Expected(0)


@situation("people edited the card", "keeps their text and ours")
def edited_card(scene: Scene) -> Expected:
    scene.commit(**{"README.md": scene.repo.files["README.md"] + b"\n## Thanks\n\nTo all who filmed.\n"})
    return Expected(0, over=lambda: _in_head(scene, "README.md", b"To all who filmed."))


@situation("people edited lines of the card that change too", "refuses, and shows the line")
def conflicting_card(scene: Scene) -> Expected:
    line = b"# A model\n" if scene.kind == "model" else b"pretty_name: sample\n"
    scene.commit(**{"README.md": scene.repo.files["README.md"].replace(line, line[:-1] + b" of mine\n")})
    return Expected(2, "was edited there", again=2)


@situation("somebody changed a table or weights there", "refuses, and names the file")
def edited_table(scene: Scene) -> Expected:
    scene.commit(**{scene.big: os.urandom(3000)})
    return Expected(2, f"{scene.big} was put or changed there by somebody else", again=2)


@situation("the same, with `--adopt`, and a card that people edited", "replaces the table, keeps their card")
def adopted_edits(scene: Scene) -> Expected:
    card = scene.repo.files["README.md"] + b"\n## Thanks\n"
    scene.commit(**{scene.big: os.urandom(3000), "README.md": card})
    scene.arguments = ("--adopt",)
    return Expected(0, over=lambda: _in_head(scene, "README.md", b"## Thanks"))


@situation("somebody added a part of a table", "refuses, since readers would load it with ours", DATASET)
def added_part(scene: Scene) -> Expected:
    scene.commit(**{TABLE.replace("00000-of", "00001-of"): b"PAR1"})
    return Expected(2, "was put or changed there by somebody else", again=2)


@situation("somebody put files beside ours", "leaves them alone")
def added_files(scene: Scene) -> Expected:
    scene.commit(LICENSE=b"MIT", data__notes=b"x", onnx__model=b"y")
    return Expected(0, over=lambda: _in_head(scene, "LICENSE", b"MIT"))


@situation("somebody removed a file of ours", "puts it back")
def removed_file(scene: Scene) -> Expected:
    scene.commit(**{scene.big: None})
    return Expected(0, over=lambda: _in_head(scene, scene.big, (scene.folder / scene.big).read_bytes()))


@situation("somebody broke our list of files there", "refuses: nothing says what is ours")
def broken_list(scene: Scene) -> Expected:
    scene.commit(**{".hardcut/files.json" if scene.kind == "model" else scene.mark: b"{oops"})
    return Expected(2, "was put or changed there by somebody else", again=2)


@situation("a config of the version before is gone here", "removes its tables, and shows them", DATASET)
def gone_config(scene: Scene) -> Expected:
    table = "data/old_name/train-00000-of-00001.parquet"
    marker = json.loads(scene.repo.files["hardcut.json"])
    marker["files"][table] = {"sha256": scene.module.hashlib.sha256(b"PAR1").hexdigest()}
    scene.commit(**{"hardcut.json": json.dumps(marker).encode(), table: b"PAR1"})
    return Expected(0, over=lambda: _not_in_head(scene, table))


@situation("somebody commits at the same moment", "stops; their commit stays, and the same command goes on")
def moved_branch(scene: Scene) -> Expected:
    done: list[bool] = []

    def first(request: web.Request) -> None:
        if "/commit/" in request.path and not done:
            done.append(True)
            scene.commit(LICENSE=b"MIT")

    scene.server.on_request = first
    return Expected(4, "somebody else changed it", over=lambda: _in_head(scene, "LICENSE", b"MIT"))


@situation("the same, and they changed a table", "stops, and then refuses")
def moved_table(scene: Scene) -> Expected:
    done: list[bool] = []

    def first(request: web.Request) -> None:
        if "/commit/" in request.path and not done:
            done.append(True)
            scene.commit(**{scene.big: b"theirs" * 999})

    scene.server.on_request = first
    return Expected(4, "somebody else changed it", again=2)


@situation("the token is withdrawn before the commit", "stops; the same command goes on with a new one")
def lost_token(scene: Scene) -> Expected:
    scene.answer("/commit/", 401)
    return Expected(4, "set HF_TOKEN")


@situation("the token may only read", "stops")
def read_only_token(scene: Scene) -> Expected:
    def refused(request: web.Request) -> web.Response | None:
        return None if request.method == "GET" else web.json_response({"error": "no"}, status=403)

    scene.server.on_request = refused
    return Expected(4, "the Hub answers 403", again=4)


@situation("there is no token", "stops")
def no_token(scene: Scene) -> Expected:
    scene.environment["HF_TOKEN"] = ""
    return Expected(4, "HF_TOKEN", again=4)


@situation("the repository is private, of others", "stops")
def unseen(scene: Scene) -> Expected:
    scene.server.on_request = lambda request: (
        web.json_response({"error": "exists", "url": f"{scene.server.url}/{NAME}"}, status=409)
        if request.path.endswith("/create")
        else web.json_response({}, status=404, headers={"X-Error-Code": "RepoNotFound"})
    )
    return Expected(4, "the Hub answers 404", again=4)


@situation("the repository is gated, and we are not let in", "stops")
def gated(scene: Scene) -> Expected:
    scene.server.on_request = lambda request: (
        web.json_response({}, status=403, headers={"X-Error-Code": "GatedRepo"})
        if "/resolve/" in request.path
        else None
    )
    return Expected(4, "the Hub answers 403", again=4)


@situation("the line breaks among the large files", "stops; the same command sends none of them twice")
def half_upload(scene: Scene) -> Expected:
    number = [0]

    def third(request: web.Request) -> web.Response | None:
        if request.path.startswith("/lfs/"):
            number[0] += 1
            if number[0] == 2:
                return web.json_response({}, status=400)
        return None

    if scene.kind == "model":
        (scene.folder / "more.safetensors").write_bytes(os.urandom(3000))
    scene.server.on_request = third
    return Expected(4, "the same command again")


@situation("the commit went through, its answer is lost", "stops; the same command finds it done and sets the tag")
def lost_answer(scene: Scene) -> Expected:
    done: list[bool] = []

    def lose(request: web.Request) -> None:
        if "/commit/" in request.path and not done:
            done.append(True)
            raise web.HTTPBadGateway

    scene.server.after = lose
    return Expected(4, "the same command again", over=lambda: _tagged(scene, 2))


@situation("it is cut off between commit and tag", "stops; the same command sets the tag")
def lost_tag(scene: Scene) -> Expected:
    scene.answer("/tag/", 400)
    return Expected(4, "the same command again", over=lambda: _tagged(scene, 2))


@situation("the Hub asks for a pause (429)", "stops; the same command goes on")
def rate_limit(scene: Scene) -> Expected:
    scene.answer("/commit/", 429)
    return Expected(4, "takes no more requests for now")


@situation("the Hub is down (503)", "stops; the same command goes on")
def server_error(scene: Scene) -> Expected:
    scene.answer("/commit/", 503)
    return Expected(4, "the Hub answers 503")


@situation("a file here changes before it is read", "refuses to send what was not looked at")
def changed_here(scene: Scene) -> Expected:
    path, before = scene.folder / scene.big, (scene.folder / scene.big).read_bytes()

    def first(request: web.Request) -> None:
        if "/refs" in request.path and not scene.is_dry:
            path.write_bytes(b"{}\n")

    def over() -> None:
        scene.server.on_request = lambda request: None
        path.write_bytes(before)

    scene.server.on_request = first
    return Expected(2, "it was changed while it was sent", over=over)


@situation("a file here changes after it was read", "sends what was looked at")
def changed_later(scene: Scene) -> Expected:
    path, before = scene.folder / scene.big, (scene.folder / scene.big).read_bytes()

    def first(request: web.Request) -> None:
        if "/preupload/" in request.path:
            path.write_bytes(b"{}\n")

    def over() -> None:
        _in_head(scene, scene.big, before)
        scene.server.on_request = lambda request: None
        path.write_bytes(before)

    scene.server.on_request = first
    return Expected(0, over=over)


@situation("a file here goes away in the middle", "stops, and names it")
def gone_here(scene: Scene) -> Expected:
    path, before = scene.folder / scene.big, (scene.folder / scene.big).read_bytes()

    def first(request: web.Request) -> None:
        if "/refs" in request.path and not scene.is_dry:
            path.unlink(missing_ok=True)

    def over() -> None:
        scene.server.on_request = lambda request: None
        path.write_bytes(before)

    scene.server.on_request = first
    return Expected(2, "it went away while it was sent", over=over)


@situation("somebody deleted the tag of what is there", "sets it again; nothing is sent")
def deleted_tag(scene: Scene) -> Expected:
    assert scene.call(scene.kind, scene.folder, NAME).returncode == 0
    scene.repo.tags.popitem()
    return Expected(0, over=lambda: _tagged(scene, 2))


@situation("the version's tag is another version's", "refuses", DATASET)
def taken_tag(scene: Scene) -> Expected:
    scene.arguments = ("v1.0.0",)
    return Expected(2, "another version's", again=2)


@situation("somebody works on another branch", "leaves it alone")
def other_branch(scene: Scene) -> Expected:
    scene.repo.branches["dev"] = {"README.md": b"# Ours, soon"}
    return Expected(0)


@situation("the history was squashed", "goes on")
def squashed(scene: Scene) -> Expected:
    scene.repo.commits[:] = [scene.repo.files]
    scene.repo.tags.clear()
    return Expected(0)


@situation("the Hub has the large files already", "sends none of them")
def known_objects(scene: Scene) -> Expected:
    for path in scene.folder.rglob("*"):
        if path.is_file():
            scene.server.objects[scene.module.hashlib.sha256(path.read_bytes()).hexdigest()] = path.read_bytes()
    return Expected(0, over=lambda: _equal(scene.server.puts, []))


@situation("what is here is there already", "sends nothing")
def same(scene: Scene) -> Expected:
    assert scene.call(scene.kind, scene.folder, NAME).returncode == 0
    return Expected(0)


def _equal(one: object, other: object) -> None:
    assert one == other


def _in_head(scene: Scene, name: str, body: bytes) -> None:
    assert body in scene.repo.files[name], name


def _not_in_head(scene: Scene, name: str) -> None:
    assert name not in scene.repo.files


def _tagged(scene: Scene, count: int) -> None:
    """Called once the trouble is over; the tags are looked at after the last call."""
    scene.tags_wanted = count


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, make: Any, write_run: Any) -> dict[str, tuple[Path, Path]]:
    """A dataset and a model, and the next version of each."""
    folder = tmp_path_factory.mktemp("versions")
    records: list[Any] = []
    for i in range(12):
        query = make.query(f"something quite particular about the video of number {i * 7919}", f"v{i}")
        records += [make.video(f"v{i}", licence="cc0-1.0"), query, make.caption(f"v{i}", f"A caption of video {i}.")]
        for step in range(3):
            pair = make.pair(query, f"v{(i + step) % 12}")
            label = make.label(pair, "no" if step else "yes", -8.0 - step if step else 5.0)
            records += [pair, label, make.judgment(pair, int(not step), label)]
    run = write_run(folder / "run", records)
    one, two = (
        Settings(export=ExportSettings(name=name, licence="cc0-1.0", train=0.6, validation=0.2, seed=1))
        for name in ("sample", "renamed")
    )
    first = export(run, folder / "first", one).out
    second = export(run, folder / "second", two, options=ExportOptions(like=first)).out
    for number in (1, 2):
        model = folder / f"model{number}"
        model.mkdir()
        for name in ("modules.json", "train.json", "config.json"):
            (model / name).write_text(json.dumps({"version": number}))
        (model / WEIGHTS).write_bytes(bytes([number]) * 3000)
        (model / "README.md").write_text(
            f"---\nlibrary_name: sentence-transformers\n---\n# A model{'!' * (number - 1)}\n\nOf videos.\n"
        )
    return {"publish": (first, second), "model": (folder / "model1", folder / "model2")}


@pytest.fixture(scope="module")
def published_before() -> dict[str, Any]:
    """What a repository holds after the first version was published, by kind."""
    return {}


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CASES = [(what, kind) for what, (_, kinds, _) in SITUATIONS.items() for kind in kinds]


@pytest.mark.parametrize(("what", "kind"), CASES, ids=[f"{kind}: {what}" for what, kind in CASES])
def test_nothing_is_lost_that_was_not_shown(
    what: str,
    kind: str,
    one_server: Any,
    quick_call: Any,
    versions: Any,
    published_before: dict[str, Any],
    tmp_path: Path,
) -> None:
    server, call, module = one_server, quick_call, sys.modules[type(one_server).__module__]
    server.repos.clear()
    server.on_request, server.after = lambda request: None, lambda request: None
    first, second = versions[kind]
    if kind not in published_before:
        assert call(kind, first, NAME).returncode == 0
        published_before[kind] = dict(server.repos[NAME].files), dict(server.objects), dict(server.repos[NAME].tags)
    files, objects, tags = published_before[kind]
    empty = {".gitattributes": b"*.parquet filter=lfs\n"}
    server.repos[NAME] = module.Repo(private=True, commits=[empty, dict(files)], tags=dict(tags))
    server.objects, server.puts = dict(objects), []
    folder = shutil.copytree(second, tmp_path / "folder")
    scene = Scene(server, module, call, folder, kind)
    expected = SITUATIONS[what][2](scene)
    here = _content(folder)
    for status, says, over in ((expected.status, expected.says, expected.over), (expected.again, "", lambda: None)):
        scene.is_dry = True
        shown = _shown(call(kind, folder, NAME, *scene.arguments, "--dry-run", **scene.environment))
        before, scene.is_dry = _state(server), False
        done = call(kind, folder, NAME, *scene.arguments, **scene.environment)
        assert done.returncode == status and says in done.stderr, done.stderr
        assert status == 0 or (len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr), done.stderr
        _nothing_lost(before, _state(server), shown)
        if status == 0:
            told = json.loads(done.stdout)
            assert shown == {name: told[name] for name in shown}, "the dry run showed what happened"
        over()
    assert _content(folder) == here, "the folder is as it was"
    assert len(server.puts) == len(set(server.puts)), "no large file was sent twice"
    assert scene.tags_wanted is None or len(scene.repo.tags) == scene.tags_wanted, scene.repo.tags


def _shown(dry: Any) -> dict[str, list[str]]:
    """What a dry run shows would be sent, replaced and removed; nothing where it refuses."""
    if dry.returncode:
        return {"sent": [], "replaced": [], "deleted": []}
    told = json.loads(dry.stdout)
    return {name: told[name] for name in ("sent", "replaced", "deleted")}


def _state(server: Any) -> tuple[list[dict[str, bytes]], dict[str, int], dict[str, Any]]:
    repo = server.repos.get(NAME)
    return ([dict(one) for one in repo.commits], dict(repo.tags), dict(repo.branches)) if repo else ([], {}, {})


def _nothing_lost(before: Any, after: Any, shown: dict[str, list[str]]) -> None:
    commits, tags, branches = before
    assert after[0][: len(commits)] == commits and after[2] == branches, "what was there can be gone back to"
    assert tags.items() <= after[1].items(), "a tag never moves"
    if not commits:
        return
    there, now = commits[-1], after[0][-1]
    lost = {name for name, body in there.items() if now.get(name) != body}
    assert lost <= {*shown["replaced"], *shown["deleted"]}, lost
    assert len(after[0]) - len(commits) <= 1, "one commit at most"


def test_the_page_has_the_table_of_situations() -> None:
    rows = [f"| {what} | {then} |" for what, (then, _, _) in SITUATIONS.items()]
    page = DOCS.read_text(encoding="utf-8")
    assert len(rows) >= 20 and all(row in page for row in rows), "\n".join(rows)
