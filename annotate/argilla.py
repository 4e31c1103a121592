"""Any Argilla, through its SDK: the one module that knows of it.

Datasets and their settings go through the SDK's objects. Records go through its client by the public REST API, because
the SDK's own records drop the ids and times of answers, and cannot hold one whose user is not known.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import tenacity

from hardcut.annotate.responses import Response
from hardcut.annotate.sets import BETTER, FLAGS, PAGE, RELEVANCE, WELL_FORMED, ReviewSet
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import HardcutError, Unreachable, UsageError
from hardcut.schemas.judgments import Relevance

KEY_VARIABLE = "ARGILLA_API_KEY"
OLDEST = (2, 3)
"""The first version of Argilla whose records can have a page of their own (a custom field)."""
TIMEOUT_S = 60
MAX_BATCH = 500
"""Records in one upsert, and the bytes of their pages: both are limits of Argilla or of the proxies before it."""
MAX_BATCH_BYTES = 8_000_000
PAGE_SIZE = 250
FIRST_PAGE = 10
"""Records in one listing, and in the first, before it is known how large they are."""
DELETE_BATCH = 20
"""Records that are looked at once more, and then taken away in one request."""
_METADATA = ("content", "stratum", "asked", "voters")
"""Kept with a record and hidden from reviewers: the digest of what was pushed, why, whose answer it is, and who is not
to be asked (our own server goes by this one, `embedded/inside/search.py`)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to push: its own id (the pair's, or that of two that are compared), its page, the digest of both, whose
    answer it brings back (`asked`), who is not to be asked (`voters`), and the suggestion with its probability."""

    pair_id: str
    page: str
    digest: str
    stratum: str
    asked: str
    voters: tuple[str, ...] = ()
    suggestion: tuple[Relevance, float | None] | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A record as the server has it; `suggested` is the relevance that it puts forward. `asked` is empty in one that an
    early version pushed."""

    record_id: str
    pair_id: str
    digest: str
    asked: str
    page: str
    suggested: Relevance | None
    answers: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A dataset of the workspace that can be answered in."""

    dataset_id: str
    name: str
    guidelines: str


@dataclass(frozen=True, slots=True)
class Handle:
    """A dataset on the server: its id and those of its questions."""

    dataset_id: str
    questions: Mapping[str, str]


def key_of_environment() -> str:
    """The API key for `--url`. Raises UsageError where the environment has none."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UsageError(f"--url needs an API key in the environment: set {KEY_VARIABLE} (Argilla: My settings)")
    return key


class ServerFault(HardcutError):
    """An error inside the server, which may be gone in a moment."""


class ArgillaServer:
    """A connection to an Argilla as a user who may make datasets (owner, or admin of the workspace).

    All that goes wrong is raised as Unreachable (nobody answers), UsageError (the key or the workspace is refused) or
    HardcutError with what the server said. `hint` says what to do where nobody answers.
    """

    def __init__(self, url: str, api_key: str, workspace: str, hint: str) -> None:
        with needs("argilla", "annotate"):
            import argilla
        self._sdk = argilla
        self._url, self._hint = url, hint
        local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        self._refuse_old(trust_env=not local)
        with self._translated():
            # A proxy of the environment is for the network, not for this machine.
            self._client = argilla.Argilla(api_url=url, api_key=api_key, timeout=TIMEOUT_S, trust_env=not local)
            self._http = self._client.api.http_client
            self._workspace = self._client.workspaces(workspace)
            if self._workspace is None:
                self._workspace = argilla.Workspace(name=workspace, client=self._client).create()

    def _refuse_old(self, *, trust_env: bool) -> None:
        """Raises UsageError where no Argilla of a version that we can use is there; what the SDK makes of an old one is
        not to be understood."""
        import httpx

        with self._translated():
            address = f"{self._url.rstrip('/')}/api/v1/version"
            answer = httpx.get(address, timeout=TIMEOUT_S, trust_env=trust_env, follow_redirects=True)
        try:
            version = str(answer.raise_for_status().json()["version"])
            told = tuple(int(part) for part in version.split(".")[:2])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
            version, told = "before 2.0, or none", (0, 0)
        if told < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise UsageError(f"the Argilla at {self._url} is of version {version}: review needs {wanted} or later")

    def users(self) -> dict[str, str]:
        """The names of users by their ids: an owner is told all, an admin the workspace's."""
        from argilla._exceptions import ForbiddenError

        with self._translated():
            try:
                users = list(self._client.users)
            except ForbiddenError:
                users = list(self._workspace.users)
            return {str(user.id): str(user.username) for user in users}

    def sets(self) -> list[Listed]:
        """The datasets of the workspace, but those that a killed push left half made."""
        where = {"workspace_id": str(self._workspace.id), "status": "ready"}
        found = self._request("GET", "/api/v1/me/datasets", params=where)["items"]
        return [Listed(str(each["id"]), str(each["name"]), str(each.get("guidelines") or "")) for each in found]

    def open(self, listed: Listed) -> Handle:
        """A dataset that `sets` told of."""
        questions = self._request("GET", f"/api/v1/datasets/{listed.dataset_id}/questions")["items"]
        return Handle(listed.dataset_id, {str(each["name"]): str(each["id"]) for each in questions})

    def ensure(self, wanted: ReviewSet, listed: Listed | None) -> Handle:
        """The dataset of a set (`listed`, where there is one), made where there is none, and brought up to date where
        the page, the guidelines or the number of answers have changed."""
        with self._translated():
            name = listed.name if listed is not None else wanted.name
            dataset = self._client.datasets(name=name, workspace=self._workspace)
            if dataset is not None and dataset._model.status == "draft":
                dataset.delete()  # a push was killed while it made it: it has no record, and may lack anything else
                dataset = None
            if dataset is None:
                dataset = self._sdk.Dataset(
                    name=wanted.name, workspace=self._workspace, settings=self._settings(wanted), client=self._client
                ).create()
                return self._handle(dataset)
            settings = dataset.settings
            page = settings.fields[PAGE]
            present = (settings.guidelines, page.template, settings.distribution.min_submitted)
            if present != (wanted.guidelines, wanted.template, wanted.min_submitted):
                settings.guidelines, page.template = wanted.guidelines, wanted.template
                settings.distribution = self._sdk.TaskDistribution(min_submitted=wanted.min_submitted)
                dataset.update()
            for name in sorted({*_METADATA} - {each.name for each in settings.metadata}):  # a set of an early version
                self._hidden(name, dataset.id)
            return self._handle(dataset)

    def _hidden(self, name: str, dataset_id: Any) -> None:
        """Has a dataset keep metadata of this name with its records, hidden from reviewers."""
        body = {"name": name, "title": name, "settings": {"type": "terms"}, "visible_for_annotators": False}
        self._request("POST", f"/api/v1/datasets/{dataset_id}/metadata-properties", json=body)

    def records(self, dataset: Handle) -> Iterator[Remote]:
        """All records with their answers, a page of the listing at a time: as many records as keep within the bytes of
        a batch, since clips may travel inside them."""
        offset, limit = 0, FIRST_PAGE
        while True:
            listed = self._request(
                "GET",
                f"/api/v1/datasets/{dataset.dataset_id}/records",
                params={"offset": offset, "limit": limit, "include": ["responses", "suggestions"]},
            )["items"]
            found = [_remote(item, dataset) for item in listed]
            yield from found
            if len(found) < limit:
                return
            offset += len(found)
            size = sum(len(record.page) for record in found)
            limit = max(1, min(PAGE_SIZE, len(found) * MAX_BATCH_BYTES // max(size, 1)))

    def upsert(self, dataset: Handle, drafts: Iterable[Draft], pushed: Callable[[int], None]) -> None:
        """Puts records there, or in the place of those of the same pairs, in batches; `pushed` is told the size of each
        that is stored."""
        path = f"/api/v1/datasets/{dataset.dataset_id}/records/bulk"
        for batch in _batches(drafts):
            self._put(path, [_item(draft, dataset) for draft in batch])
            pushed(len(batch))

    def _put(self, path: str, items: list[Any]) -> None:
        """Once more after an error of the server: it may still be at the same records for a push that was killed. What
        is put twice is there once."""
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ServerFault),
            stop=tenacity.stop_after_attempt(4),
            wait=tenacity.wait_exponential(1),
            reraise=True,
        ):
            with attempt:
                self._request("PUT", path, json={"items": items})

    def delete_unanswered(self, dataset: Handle, record_ids: Sequence[str]) -> int:
        """Takes records away that nobody has answered up to now, which may be long after they were listed; how many."""
        gone = 0
        for start in range(0, len(record_ids), DELETE_BATCH):
            found = [id for id in record_ids[start : start + DELETE_BATCH] if not self.is_answered(id)]
            if found:
                path = f"/api/v1/datasets/{dataset.dataset_id}/records"
                self._request("DELETE", path, params={"ids": ",".join(found)})
            gone += len(found)
        return gone

    def is_answered(self, record_id: str) -> bool:
        """Whether anybody has answered a record, or begun to."""
        return bool(self._request("GET", f"/api/v1/records/{record_id}").get("responses"))

    def _request(self, method: str, path: str, **options: Any) -> Any:
        with self._translated():
            response = self._http.request(method, path, **options)
            response.raise_for_status()
            return response.json() if response.content else None

    def _handle(self, dataset: Any) -> Handle:
        questions = {question.name: str(question._model.id) for question in dataset.settings.questions}
        return Handle(str(dataset.id), questions)

    def _settings(self, wanted: ReviewSet) -> Any:
        sdk = self._sdk
        return sdk.Settings(
            guidelines=wanted.guidelines,
            fields=[sdk.CustomField(name=PAGE, title="Query", template=wanted.template, advanced_mode=True)],
            questions=self._compared() if wanted.compares else self._judged(),
            metadata=[sdk.TermsMetadataProperty(name=name, visible_for_annotators=False) for name in _METADATA],
            distribution=sdk.TaskDistribution(min_submitted=wanted.min_submitted),
        )

    def _compared(self) -> list[Any]:
        """The question about two videos."""
        return [
            self._sdk.LabelQuestion(
                name="better", title="Which of the two answers the query better?", labels=dict(BETTER)
            )
        ]

    def _judged(self) -> list[Any]:
        """The questions about a pair."""
        sdk = self._sdk
        return [
            sdk.LabelQuestion(
                name="relevance",
                title="Does the video answer the query?",
                labels={name: title for name, (_, title) in RELEVANCE.items()},
            ),
            sdk.TextQuestion(name="moment", title="The moment, such as 3-7.5", required=False),
            sdk.LabelQuestion(
                name="well_formed",
                title="Is the query well formed?",
                labels={name: title for name, (_, title) in WELL_FORMED.items()},
                required=False,
            ),
            sdk.TextQuestion(name="rewrite", title="How would you put it?", required=False),
            sdk.MultiLabelQuestion(name="flags", title="Anything else?", labels=dict(FLAGS), required=False),
            sdk.TextQuestion(name="language", title="If the language is wrong: which, such as de?", required=False),
        ]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the client and of the server as ours, in one place."""
        import httpx
        from argilla import _exceptions as problems

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except httpx.HTTPStatusError as error:
            raise self._refused(error.response.status_code, error.response.text) from error
        except httpx.HTTPError as error:
            raise Unreachable(f"no Argilla answers at {self._url} ({_error_text(error)}): {self._hint}") from error
        except problems.ArgillaCredentialsError as error:
            raise self._refused(401, "") from error
        except problems.ArgillaAPIError as error:
            raise self._refused(error.status_code, str(error)) from error

    def _refused(self, status: int, said: str) -> HardcutError:
        if status in (401, 403):
            return UsageError(
                f"the Argilla at {self._url} refuses the API key: it must be an owner's or a workspace admin's"
            )
        kind = ServerFault if status >= 500 else HardcutError
        return kind(f"the Argilla at {self._url} refuses it (status {status}): {said[:500]}")


def _remote(item: Mapping[str, Any], dataset: Handle) -> Remote:
    relevance = dataset.questions.get("relevance")  # none where two videos are compared
    metadata = item.get("metadata") or {}
    suggested = [str(each["value"]) for each in item.get("suggestions") or () if each["question_id"] == relevance]
    return Remote(
        record_id=str(item["id"]),
        pair_id=str(item["external_id"]),
        digest=str(metadata.get("content", "")),
        asked=str(metadata.get("asked", "")),
        page=str(item["fields"].get(PAGE, {}).get(PAGE, "")),
        suggested=RELEVANCE[suggested[0]][0] if suggested and suggested[0] in RELEVANCE else None,
        answers=tuple(_answer(each) for each in item.get("responses") or ()),
    )


def _answer(response: Mapping[str, Any]) -> Response:
    given = datetime.fromisoformat(response["inserted_at"])
    return Response(
        response_id=str(response["id"]),
        user_id=str(response["user_id"]) if response.get("user_id") else None,
        status=str(response["status"]),
        values={name: value.get("value") for name, value in (response.get("values") or {}).items()},
        given_s=(given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp(),
    )


def _item(draft: Draft, dataset: Handle) -> dict[str, Any]:
    suggestions: list[dict[str, Any]] = []
    if draft.suggestion is not None:
        relevance, probability = draft.suggestion
        suggestions.append(
            {
                "question_id": dataset.questions["relevance"],
                "value": next(name for name, (value, _) in RELEVANCE.items() if value == relevance),
                "score": probability,
                "type": "model",
                "agent": "teacher",
            }
        )
    metadata: dict[str, Any] = {"content": draft.digest, "stratum": draft.stratum, "asked": draft.asked}
    if draft.voters:
        metadata["voters"] = list(draft.voters)
    return {
        "external_id": draft.pair_id,
        "fields": {PAGE: {PAGE: draft.page}},
        "metadata": metadata,
        "suggestions": suggestions,
    }


def _batches(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        if batch and (len(batch) == MAX_BATCH or size + len(draft.page) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(draft)
        size += len(draft.page)
    if batch:
        yield batch


def _error_text(error: Exception) -> str:
    return str(error) or type(error).__name__
