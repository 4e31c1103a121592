"""The diagnostic set: one video, the query that it answers, and variants of it that it does not.

A variant is a counterfactual query (negated, reversed, one facet changed) that was judged irrelevant to the video that
its original is relevant to. A reranker passes a suite by the `RULE`; the share of suites that it passes says whether it
sees nuance or only matches words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from hardcut.publish._parquet import ConfigWriter, SplitSize
from hardcut.publish._scratch import Scratch
from hardcut.schemas.ids import canonical_json, content_id
from hardcut.schemas.records import COUNTERFACTUAL, Split

Row = dict[str, Any]
RULE = "score(query, video) > score(variant, video) for every variant"


def diagnostic_parts(query: Row, pairs: Sequence[Row], split: Split) -> Iterator[tuple[str, str]]:
    """(key of a suite, what the query adds to it), for the suites that the pairs of one query may belong to."""
    for row in pairs:
        if row["label"] > 0:
            original = ["original", [split, query["query"]]]
            yield canonical_json([query["query_id"], row["video_id"]]), canonical_json(original)
        elif query["variant"] in COUNTERFACTUAL and query["source_video_id"] == row["video_id"]:
            if query["parent_query_id"] is None:
                continue
            variant = {name: query[name] for name in ("query_id", "query", "kind")} | {"change": query["variant"]}
            yield canonical_json([query["parent_query_id"], row["video_id"]]), canonical_json(["variant", variant])


def write_diagnostic(
    writer: Callable[[str], ConfigWriter], suites: Scratch, videos: Mapping[str, Row]
) -> dict[str, dict[str, SplitSize]]:
    """Writes the config, if there is a suite: an original and at least one variant. `videos`: path and sha256 by id."""
    rows = _suites(suites, videos)
    first = next(rows, None)
    if first is None:
        return {}
    with writer("diagnostic") as config:
        for split, row in chain([first], rows):
            config.add(split, row)
    return {"diagnostic": config.sizes}


def _suites(suites: Scratch, videos: Mapping[str, Row]) -> Iterator[tuple[Split, Row]]:
    for key, bodies in suites.groups():
        query_id, video_id = json.loads(key)
        parts = [json.loads(body) for body in bodies]
        original = next((value for kind, value in parts if kind == "original"), None)
        variants = sorted((value for kind, value in parts if kind == "variant"), key=lambda row: row["query_id"])
        if original is not None and variants:
            split, text = original
            yield (
                split,
                {
                    "suite_id": content_id("s", query_id, video_id),
                    "video_id": video_id,
                    **videos[video_id],
                    "query_id": query_id,
                    "query": text,
                    "variants": variants,
                    "rule": RULE,
                },
            )
