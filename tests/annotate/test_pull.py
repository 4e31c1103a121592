"""Which answer counts where a server has several of one person."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from hardcut.annotate.argilla import Listed, Remote
from hardcut.annotate.ownership import note_set, read_ownership
from hardcut.annotate.pull import pull
from hardcut.annotate.responses import Response
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Review


class Server:
    """A server with two blind sets of a run, each with a record of the same pair."""

    def __init__(self, run: Path, answers: dict[str, Response]) -> None:
        self.answers = answers
        for number, id in enumerate(answers):
            note_set(run, id, "blind", f"clips {number}")
        of = {"pair_id": "p_1", "query_id": "q_1", "video_id": "v", "query_digest": "0" * 64, "stratum": "suspected"}
        self.asked = json.dumps({**of, "run_id": read_ownership(run).run_id})

    def users(self) -> dict[str, str]:
        return {"u1": "ada"}

    def sets(self) -> list[Listed]:
        return [Listed(id, id, "# Blind") for id in self.answers]

    def open(self, listed: Listed) -> str:
        return listed.dataset_id

    def records(self, id: str) -> list[Remote]:
        return [Remote(f"record of {id}", "p_1", "", self.asked, "", None, (self.answers[id],))]


EARLIER = Response("r?", "u1", "submitted", {"relevance": "does_not"}, 1.0)
LATER = Response("r?", "u1", "submitted", {"relevance": "answers"}, 2.0)
DRAFT = Response("r?", "u1", "draft", {"relevance": "in_part"}, 3.0)


@pytest.mark.parametrize("ids", [*permutations("abc")])
def test_of_answers_in_several_sets_the_latest_counts_and_no_draft(tmp_path: Path, ids: tuple[str, ...]) -> None:
    given = {
        f"set {id}": Response(id, each.user_id, each.status, each.values, each.given_s)
        for id, each in zip(ids, (EARLIER, LATER, DRAFT), strict=True)
    }
    server: Any = Server(tmp_path, given)
    assert pull(tmp_path, "clips", server).reviews == 1
    [review] = read_records(tmp_path / Review.FILE, Review)
    assert (review.reviewer, review.status, review.relevance) == ("ada", "submitted", 2)
