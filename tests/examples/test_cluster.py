"""The examples for clusters: they parse, and what they run is a command of ours. docs/cluster.md shows them."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.requirements import Requirement

from hardcut.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "cluster"
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SCRIPTS = sorted(FOLDER.glob("*.sbatch"))


def parse(words: list[str]) -> dict[str, Any]:
    """The arguments of a command of ours."""
    assert words[0] == "hardcut"
    command: Any = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    arguments: dict[str, Any] = command.make_context(words[1], words[2:]).params
    return arguments


def test_all_examples_are_shown() -> None:
    for path in sorted(FOLDER.iterdir()):
        assert path.read_text(encoding="utf-8") in PAGE, f"docs/cluster.md shows another {path.name}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound_and_run_a_command(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text(encoding="utf-8").replace("\\\n", " ")
    line = re.search(r"hardcut run .*", text)
    assert line
    arguments = parse(shlex.split(line[0]))
    assert bool(arguments["ray"]) != bool(arguments["shard"])
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+=\S+", each) for each in re.findall(r"#SBATCH.*", text))


def test_a_script_says_what_it_needs() -> None:
    for script in SCRIPTS:
        done = subprocess.run(["bash", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
        assert done.returncode and "VIDEOS: a folder that all" in done.stderr


def test_the_job_of_kubernetes() -> None:
    job = yaml.safe_load((FOLDER / "rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    arguments = parse(shlex.split(job["spec"]["entrypoint"]))
    assert arguments["ray"] == "auto"
    cluster = job["spec"]["rayClusterSpec"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert Requirement(extras["ray"][0]).specifier.contains(cluster["rayVersion"]), "a version that was tried"
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    for pod in pods:
        mounted = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert {each["name"] for each in pod["volumes"]} == set(mounted)
        for path in (arguments["videos"], arguments["cache"]):
            assert Path(mounted["shared"]) in Path(path).parents, "all pods see videos and frames"
    assert Path("/runs") in arguments["out"].parents and "runs" not in str(pods[1]), "the ledger is the head's"


def test_the_image_has_what_a_node_needs() -> None:
    lines = (FOLDER / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line for line in lines if line and not line.startswith("#")]
    assert {line.split()[0] for line in steps} <= {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "CMD"}
    assert any("[default,ray]" in line for line in steps)
    assert steps.index("USER hardcut") < len(steps) - 1, "it does not run as root"
