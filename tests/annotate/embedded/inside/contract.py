"""Runs inside the server's environment: compares our search engine with the server's abstract one. Prints JSON."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import sys
from pathlib import Path

INSIDE = Path(__file__).resolve().parents[4] / "annotate" / "embedded" / "inside"
os.environ.update(
    ARGILLA_HOME_PATH=sys.argv[1], ARGILLA_DATABASE_URL=f"sqlite+aiosqlite:///{sys.argv[1]}/a.db", HF_HUB_OFFLINE="1"
)
runpy.run_path(str(INSIDE / "__main__.py"), run_name="names_only")

from hardcut.annotate.embedded.inside import jobs  # noqa: E402

jobs.install()

from argilla_server.search_engine.base import SearchEngine  # noqa: E402
from argilla_server.search_engine.elasticsearch import ElasticSearchEngine  # noqa: E402

from hardcut.annotate.embedded.inside.search import SqliteSearch  # noqa: E402


def shape(method: object) -> list[tuple[str, str, str]]:
    """Names, kinds and defaults: what a caller sees."""
    parameters = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    return [(one.name, one.kind.name, repr(one.default)) for one in parameters]


def is_different(name: str) -> bool:
    ours, theirs = getattr(SqliteSearch, name), getattr(SearchEngine, name)
    # the server hands `search` the user's id too, which the abstract method does not say and Elasticsearch's takes
    caller = ElasticSearchEngine.search if name == "search" else theirs
    return shape(ours) != shape(caller) or inspect.iscoroutinefunction(ours) != inspect.iscoroutinefunction(theirs)


abstract = sorted(SearchEngine.__abstractmethods__)
methods = {name for name, found in vars(SearchEngine).items() if inspect.isfunction(found)}
different = [name for name in sorted(methods.union(abstract)) if is_different(name)]
print(json.dumps({"abstract": abstract, "missing": sorted(SqliteSearch.__abstractmethods__), "different": different}))
