"""docs/extending.md: each example is added with exactly the files and lines that the page says, and then used.

What is added from outside is a package on the path, with the entry points of the page. What is added from inside goes
into a copy of the source, which a process of its own imports.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^<!-- (?P<where>inside|outside)(?:: (?P<path>\S+))? -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
RUNS = ROOT / "tests" / "cli" / "old_runs" / "26e4c37.tar.xz"
"""Holds four clips, settings without any costly extractor, and a finished run of the evidence teacher over them."""
Script = Callable[[str], str]


def section(title: str) -> str:
    """The text of the page under a heading, with that of the headings below it."""
    headings = [(len(found[1]), found[2], found.start()) for found in re.finditer(r"^(#+) (.*)$", PAGE, re.M)]
    [(level, start)] = [(level, start) for level, name, start in headings if name == title]
    behind = (other for depth, _, other in headings if other > start and depth <= level)
    return PAGE[start : next(behind, len(PAGE))]


def blocks(text: str, where: str) -> Iterator[tuple[str | None, str, str]]:
    """(path, language, text) of the blocks of one kind."""
    for found in BLOCK.finditer(text):
        if found["where"] == where:
            yield found["path"], found["language"], found["text"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips, their settings and a finished run."""
    folder = tmp_path_factory.mktemp("example")
    with tarfile.open(RUNS) as packed:
        packed.extractall(folder, filter="data")
    return folder


def run(source: Path, example: Path, code: str, *path: Path) -> str:
    """What a script prints that imports Hardcut from `source`."""
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), *map(str, path), *before])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=example, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, example: Path) -> Script:
    """The package of the page, installed: its module on the path, its entry points beside it, as pip leaves them."""
    folder = tmp_path_factory.mktemp("site")
    texts: dict[str, str] = {}
    for path, _, text in blocks(section("A package of your own"), "outside"):
        assert path is not None
        texts[path] = texts.get(path, "") + text
    project = tomllib.loads(texts.pop("pyproject.toml"))["project"]
    for path, text in texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    info = folder / f"hardcut_example-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)
    return lambda code: run(ROOT / "src", example, code, folder)


def test_a_backend_of_others(outside: Script) -> None:
    code = """
import hardcut
for spec in ("constant:-2", "constant:2.5"):
    with hardcut.open_teacher(spec, settings="settings.toml", cache="cache") as teacher:
        judged = hardcut.judge("a door opens", "videos/motion/door-01-a.mp4", teacher)
        print(judged.verdict, judged.margin, judged.label.teacher.backend)
for wrong in ("constant:much", "constnat:1"):
    try:
        hardcut.open_teacher(wrong)
    except hardcut.HardcutError as error:
        print(error)
"""
    said = outside(code).splitlines()
    assert said[:2] == ["no -2.0 constant", "yes 2.5 constant"]
    assert "such as constant:-2" in said[2] and "constant" in said[3], "its name is among those that there are"


def test_an_importer_of_others(outside: Script, example: Path) -> None:
    (example / "pairs.csv").write_text("query,video,relevant\na door opens,motion/door-01-a,1\n,x,0\n")
    said = outside("from hardcut.cli.app import main; main(['import', 'pairs', 'pairs.csv', '--out', 'imported'])")
    assert "1 queries, 1 videos, 1 judgments" in said and "skipped  1" in said
    assert "a door opens" in (example / "imported" / "queries.jsonl").read_text()


def test_an_exporter_of_others_and_a_check(outside: Script, example: Path) -> None:
    code = """
import hardcut
dataset = hardcut.open_run("evidence/whole", cache="cache").export("dataset")
found = {result.name: result for result in dataset.check()}
print(found["shouting"].state, "|", found["shouting"].message)
from hardcut.cli.app import main
try:
    main(["export", "dataset", "--format", "texts", "--out", "texts"])
except SystemExit as ended:  # 1: other checks fail on four clips
    print(ended.code)
"""
    said = outside(code)
    assert said.startswith("passed | no query shouts")
    lines = (example / "texts" / "queries.txt").read_text().splitlines()
    assert lines and all(line for line in lines)
    names = outside("import hardcut; print(*[result.name for result in hardcut.open_dataset('dataset').check()])")
    assert names.split()[0] == "references" and names.split()[-1] == "shouting", "checks of others come after ours"


@pytest.fixture
def inside(tmp_path: Path, example: Path) -> Callable[[str], Script]:
    """A copy of the source with what a section adds, and a way to run code in it."""

    def add(title: str) -> Script:
        names = [path.name for path in (ROOT / "src" / "hardcut").iterdir() if path.is_symlink()]
        for name in names:
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "sample"))
        (tmp_path / "src").mkdir()
        shutil.copytree(ROOT / "src" / "hardcut", tmp_path / "src" / "hardcut", symlinks=True)
        for path, language, text in blocks(section(title), "inside"):
            if language == "diff":
                apply(tmp_path, text)
            else:
                assert path is not None and not (tmp_path / path).exists(), f"{path} is a new file"
                (tmp_path / path).write_text(text, encoding="utf-8")
        return lambda code: run(tmp_path / "src", example, code)

    return add


def apply(folder: Path, diff: str) -> None:
    """Adds the lines of a diff behind those that it shows, which must stand in the file once."""
    path = folder
    for line in diff.splitlines():
        if line.startswith("--- a/"):
            path = folder / line.removeprefix("--- a/")
    for part in re.split(r"^--- a/", diff, flags=re.M)[1:]:
        name, *hunks = re.split(r"\n@@[^\n]*\n", part)
        path = folder / name
        text = path.read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.rstrip("\n").split("\n")
            before = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
            after = "".join(line[1:] + "\n" for line in lines)
            assert all(line[:1] in ("", " ", "+") for line in lines) and text.count(before) == 1, f"{name}: {before}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


def test_a_backend_of_ours(inside: Callable[[str], Script]) -> None:
    [code] = [text for path, _, text in blocks(section("A backend"), "outside") if path == "hardcut_example.py"]
    script = inside("A backend of Hardcut's own")
    package = Path(script("import hardcut; print(hardcut.__file__)").strip()).parent
    (package.parent.parent / "teacher" / "constant.py").write_text(code)
    asked = "hardcut.judge('a door opens', 'videos/motion/door-01-a.mp4', teacher).margin"
    opened = "hardcut.open_teacher('constant:-2', settings='settings.toml', cache='cache')"
    assert script(f"import hardcut\nwith {opened} as teacher: print({asked})") == "-2.0\n"


def test_an_extractor(inside: Callable[[str], Script]) -> None:
    code = """
import hardcut
options = dict(settings="settings.toml", cache="cache", until="evidence")
run = hardcut.run("videos", "dim", **options)
found = [line for line in run.evidence() if line.extractor == "dimness"]
print(len(found) > 0, {line.text for line in found})
"""
    assert inside("An extractor of evidence")(code) == "True {'it is dim'}\n"


def test_a_filter(inside: Callable[[str], Script]) -> None:
    code = """
import hardcut
options = dict(settings="settings.toml", cache="cache", until="negatives")
run = hardcut.run("videos", "filtered", **options)
brief = {query.query_id for query in run.queries() if len(query.text.split()) < 4 and query.source_video_id}
dropped = {each.item for each in run.dropped() if each.reason == "brief"}
print(len(brief) > 0, brief == dropped, brief & {pair.query_id for pair in run.pairs()}, len(run.pairs()) > 0)
"""
    assert inside("A filter of queries")(code) == "True True set() True\n"


def test_a_stage_that_asks_a_teacher(inside: Callable[[str], Script], example: Path) -> None:
    script = inside("A stage that asks a teacher")
    code = """
import hardcut

def write(asked):
    if asked.request.task == "headline":
        assert "You write headlines" in asked.prompt.system and asked.request.inputs["caption"] in asked.prompt.user
        return {"headline": "Headline: " + asked.request.inputs["caption"]}
    return {"short": "s", "claims": [{"text": "A door moves", "start": None, "end": None, "evidence": []}]}

teacher = hardcut.teacher_from(write, name="writer")
options = dict(settings="settings.toml", cache="cache", **{"captions.check": False})
run = hardcut.run("videos", "headlines", teacher=teacher, until="headlines", **options)
print(len(run.queries()), {query.text for query in run.queries()})
print([stage.name for stage in run.status().stages if stage.finished][-1])
"""
    refused = """
import hardcut
options = dict(settings="settings.toml", cache="cache")
run = hardcut.run("videos", "refused", teacher="evidence", until="headlines", **options)
print({item.reason for item in run.status().failed})
"""
    shown = """
from hardcut.cli.app import main
main(["prompt", "show", "headline", "--video", "motion/door-01-a", "--run", "refused", "--cache", "cache"])
"""
    assert script(code) == "4 {'Headline: A door moves.'}\nheadlines\n"
    assert script(refused) == "{'no_rule'}\n"
    assert "You write headlines for videos." in script(shown)
