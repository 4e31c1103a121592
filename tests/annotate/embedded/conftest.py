"""Talking to a server over its public REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from hardcut.annotate.embedded.server import connection


class Api:
    """The REST API as one user; answers other than success raise."""

    def __init__(self, url: str, api_key: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/api/v1/", headers={"X-Argilla-Api-Key": api_key}, timeout=60)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        response = self.http.request(method, path, json=body, params=query)
        if response.is_error:
            raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
        return response.json() if response.content else None

    def dataset(self, name: str, *, min_submitted: int = 1) -> str:
        """A published dataset: fields of text and of an object, questions of three kinds, metadata of three."""
        workspace = self.call("GET", "me/workspaces")["items"][0]["id"]
        body = {
            "name": name,
            "workspace_id": workspace,
            "distribution": {"strategy": "overlap", "min_submitted": min_submitted},
        }
        made = self.call("POST", "datasets", body)["id"]
        for field in ("query", "note"):
            settings = {"type": "text", "use_markdown": False}
            self.call("POST", f"datasets/{made}/fields", {"name": field, "title": field, "settings": settings})
        page = {"type": "custom", "template": "<p>{{record.fields.page.text}}</p>", "advanced_mode": False}
        self.call("POST", f"datasets/{made}/fields", {"name": "page", "title": "page", "settings": page})
        labels = [{"value": value, "text": value} for value in ("yes", "part", "no")]
        questions = {
            "relevance": {"type": "label_selection", "options": labels},
            "stars": {"type": "rating", "options": [{"value": value} for value in range(1, 6)]},
            "flags": {"type": "multi_label_selection", "options": labels},
        }
        for question, settings in questions.items():
            body = {"name": question, "title": question, "required": question == "relevance", "settings": settings}
            self.call("POST", f"datasets/{made}/questions", body)
        for kind in ("terms", "integer", "float"):
            body = {"name": kind, "title": kind, "settings": {"type": kind}, "visible_for_annotators": True}
            self.call("POST", f"datasets/{made}/metadata-properties", body)
        self.call("PUT", f"datasets/{made}/publish")
        return str(made)

    def push(self, dataset: str, records: Sequence[dict[str, Any]]) -> list[str]:
        """Ids of the records, in their order."""
        found = self.call("POST", f"datasets/{dataset}/records/bulk", {"items": list(records)})
        return [record["id"] for record in found["items"]]

    def answer(self, record: str, relevance: str, **values: Any) -> Any:
        """One answer, the way the page sends it; the server's own object where it took it."""
        said = {name: {"value": value} for name, value in {"relevance": relevance, **values}.items()}
        body = {"items": [{"record_id": record, "values": said, "status": "submitted"}]}
        done = self.call("POST", "me/responses/bulk", body)["items"][0]
        assert done["error"] is None, done
        return done["item"]

    def search(self, dataset: str, body: Any = None, *, mine: bool = False, **query: Any) -> tuple[list[str], int]:
        """External ids of the page, and how many there are."""
        path = f"{'me/' if mine else ''}datasets/{dataset}/records/search"
        found = self.call("POST", path, body or {}, **query)
        return [item["record"]["external_id"] for item in found["items"]], found["total"]


@pytest.fixture(scope="session")
def api() -> Iterator[Callable[..., Api]]:
    """`api(data, "alice")`: the API of the server that runs on that data, as that user (default: the owner)."""
    made: list[Api] = []

    def connect(data: Path, user: str = "owner") -> Api:
        found = connection(data, user)
        made.append(Api(found.url, found.api_key))
        return made[-1]

    yield connect
    for one in made:
        one.http.close()
