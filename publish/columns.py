"""The columns of every config. Typed all through: no JSON in strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hardcut.media.look import LOOK
from hardcut.publish.people import ANSWER

if TYPE_CHECKING:
    from datasets import Features

Row = dict[str, Any]
CONFIGS = ("pairs", "groups", "captions", "queries", "corpus", "qrels", "diagnostic", "triplets", "media")
"""Every config that a dataset can have, in the order of the card. The last three are there where they have rows."""

OF_QUERY = (
    "query",
    "view",
    "kind",
    "variant",
    "length",
    "style",
    "language",
    "facets",
    "difficulty",
    "reference_video_id",
)
"""The columns that a row of `pairs` has from its query."""

# Names of arrow types, and lists and structs of them. `_feature` turns them into those of datasets. `?` and `Nullable`
# say that the value may be missing. Anywhere else a missing value says that the file was altered.


class Nullable(dict[str, Any]):
    """A struct that may be missing."""


_SPAN = Nullable({"start": "float64", "end": "float64"})
_FACETS = [{"text": "string", "modality": "string", "span": _SPAN}]
_DIFFICULTY = {
    "score": "float64?",
    "positive_rank": "int32?",
    "margin_gap": "float64?",
    "unwatched": "bool?",
    "modalities": "int32?",
    "spans": "int32?",
}
TEACHER = {
    "teacher": "string",
    "sample": "int32",
    "verdict": "string",
    "logit_margin": "float64?",
    "p_yes": "float64?",
    "exact": "bool",
}
CANDIDATE = {
    "pair_id": "string",
    "video_id": "string",
    "video_path": "string",
    "sha256": "string",
    "label": "int32",
    "label_source": "string",
    "negative": "string",
    "logit_margin": "float64?",
    "p_yes": "float64?",
    "exact": "bool?",
}
COUNTERFACTUAL = {
    "pair_id": "string",
    "query_id": "string",
    "query": "string",
    "change": "string",
    "answered": "bool",
    "against": "string",
    "logit_margin": "float64?",
    "exact": "bool?",
}
_LOOK = Nullable(dict.fromkeys(LOOK, "float64"))
_SOURCE = {"kind": "string", "id": "string", "teacher": "string?"}
_SIDE = {"query_id": "string", "query": "string", "kind": "string"}
COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "pairs": {
        "pair_id": "string",
        "query_id": "string",
        "query": "string",
        "video_id": "string",
        "video_path": "string",
        "sha256": "string",
        "label": "int32",
        "label_source": "string",
        "negative": "string",
        "logit_margin": "float64?",
        "p_yes": "float64?",
        "p_calibrated": "float64?",
        "exact": "bool?",
        "shown": "string?",
        "text_only": "string?",
        "teacher": "string?",
        "teachers": [TEACHER],
        "agreement": "float64?",
        "reasoning": "string?",
        "view": "string",
        "kind": "string",
        "variant": "string",
        "length": "string?",
        "style": "string?",
        "language": "string",
        "facets": _FACETS,
        "difficulty": _DIFFICULTY,
        "reference_video_id": "string?",
        "first_stage": [{"run": "string", "rank": "int32", "score": "float64"}],
        "caption": "string?",
        "origins": ["string"],
        "flags": ["string"],
        "well_formed": "bool?",
        "moment": _SPAN,
        "reviews": [ANSWER],
    },
    "groups": {
        "group_id": "string",
        "query_id": "string",
        "query": "string",
        "kind": "string",
        "positive": CANDIDATE,
        "negatives": [CANDIDATE],
        "counterfactuals": [COUNTERFACTUAL],
    },
    "captions": {
        "caption_id": "string",
        "video_id": "string",
        "video_path": "string",
        "sha256": "string",
        "caption": "string",
        "short": "string?",
        "claims": [{"text": "string", "span": _SPAN, "evidence": ["string"]}],
        "teacher": "string",
    },
    "queries": {
        "query_id": "string",
        "external_id": "string?",
        "query": "string",
        "language": "string",
        "view": "string",
        "kind": "string",
        "variant": "string",
        "length": "string?",
        "style": "string?",
        "facets": _FACETS,
        "difficulty": _DIFFICULTY,
        "source_video_id": "string?",
        "reference_video_id": "string?",
        "parent_query_id": "string?",
        "teacher": "string?",
        "flags": ["string"],
        "well_formed": "bool?",
    },
    "corpus": {
        "video_id": "string",
        "video_path": "string",
        "sha256": "string",
        "size_bytes": "int64",
        "duration_s": "float64",
        "fps": "float64",
        "width": "int32",
        "height": "int32",
        "codec": "string",
        "has_audio": "bool",
        "complete": "bool",
        "group": "string",
        "licence": "string?",
        "speech": "string?",
        "look": _LOOK,
        "metadata": [{"key": "string", "value": "string"}],
    },
    "qrels": {"query_id": "string", "external_id": "string?", "video_id": "string", "grade": "int32"},
    "diagnostic": {
        "block_id": "string",
        "change": "string",
        "video_id": "string",
        "video_path": "string",
        "sha256": "string",
        "answered": _SIDE,
        "unanswered": _SIDE,
        "mirror": Nullable({"video_id": "string", "video_path": "string", "sha256": "string"}),
        "rule": "string",
    },
    "triplets": {
        "id": "string",
        "set_id": "string",
        "nuance": "string",
        "anchor": "string",
        "positive": "string",
        "hard_negative": "string",
        "anchor_source": _SOURCE,
        "positive_source": _SOURCE,
        "hard_negative_source": _SOURCE,
        "video_id": "string?",
    },
    "media": {
        "video_id": "string",
        "video": "video",
        "sha256": "string",
        "licence": "string?",
        "duration_s": "float64",
    },
}
ADDED: Mapping[str, frozenset[str]] = {
    "pairs": frozenset({"flags", "well_formed", "moment", "reviews", "shown"}),
    "groups": frozenset({"counterfactuals"}),
    "queries": frozenset({"flags", "well_formed"}),
    "corpus": frozenset({"codec", "look"}),
}
"""Columns that datasets of earlier versions lack, by config."""


def features(config: str) -> Features:
    """The typed columns of a config."""
    from datasets import Features

    return Features({name: _feature(kind) for name, kind in COLUMNS[config].items()})


def _feature(kind: Any) -> Any:
    from datasets import Value, Video

    if kind == "video":
        return Video()
    if isinstance(kind, list):
        return [_feature(kind[0])]
    if isinstance(kind, dict):
        return {name: _feature(inner) for name, inner in kind.items()}
    return Value(kind.rstrip("?"))
