"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """A helper module beside this file; with pytest's importlib mode it can only be loaded by its path."""
    spec = importlib.util.spec_from_file_location(f"hardcut_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def teacher_server() -> Iterator[Any]:
    """A chat completions server on loopback, see teacher_server.py."""
    with _load("teacher_server").TeacherServer() as server:
        yield server


@pytest.fixture
def second_server() -> Iterator[Any]:
    """Another one, of another owner."""
    with _load("teacher_server").TeacherServer() as server:
        yield server
