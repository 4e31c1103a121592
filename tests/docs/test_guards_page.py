"""docs/guards.md lists every check of the gate and every guard of a run, as the registries have them."""

from __future__ import annotations

from pathlib import Path

from hardcut.publish.checks.check import Check
from hardcut.publish.gate import CHECKS
from hardcut.schemas.guards import FILTERS, GUARDS, Guard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guards.md"
ALWAYS = "it has no row, or a file was altered"


def check_row(one: Check) -> str:
    reads = ", ".join(f"`{config}`" for config in one.reads)
    if "guards" in one.marker:
        reads += ", what the run noted"
    return f"| `{one.name}` | {one.looks_for} | {reads} | {one.cannot_look or '-'} |"


def guard_row(guard: Guard) -> str:
    switch = f"`{guard.setting}`" if guard.setting else "always on"
    return f"| `{guard.name}` | {guard.looks_for} | {', '.join(guard.reads)} | {switch} | {guard.cannot_look} |"


def test_the_page_has_a_row_for_every_check_and_every_guard() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [check_row(one) for name, one in CHECKS.items() if name not in FILTERS]
    rows += [guard_row(guard) for guard in GUARDS]
    missing = [row for row in rows if row not in lines]
    assert not missing, "write into docs/guards.md:\n" + "\n".join(missing)
    first = [line.split("|")[1].strip(" `") for line in lines if line.startswith("| `")]
    assert set(first) == {*CHECKS, *(guard.name for guard in GUARDS)}, "a row of what is gone"
