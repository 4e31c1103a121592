"""What of a run reviewers' flags keep out of its dataset, as the dataset's marker tells it: by digest, since what is
withheld is named in no file that leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hardcut.publish.checks.result import CouldNotLook
from hardcut.publish.dataset import DamagedDataset, Dataset
from hardcut.schemas.flags import Flagged, Withheld
from hardcut.schemas.ids import digest

WITHHELD = "withheld"
"""The key of the marker: reasons by the digest of an id, for each of `videos`, `queries` and `pairs`."""
KINDS = ("videos", "queries", "pairs")


def withheld_note(flags: Flagged, pairs: Mapping[str, Withheld]) -> dict[str, dict[str, str]]:
    """The marker's value; `pairs` are all that flags withhold, for their video's or their query's sake too."""
    by_kind = {"videos": flags.videos, "queries": flags.queries, "pairs": pairs}
    return {kind: {digest(id): by_kind[kind][id] for id in sorted(by_kind[kind])} for kind in KINDS}


def withheld_of(dataset: Dataset) -> Mapping[str, Mapping[str, str]]:
    """The marker's value. Raises CouldNotLook for a dataset of an earlier version, DamagedDataset for one that was
    altered."""
    kept: Any = dataset.marker.get(WITHHELD)
    if kept is None:
        raise CouldNotLook(
            "the dataset does not say what reviewers' flags keep out of it: an earlier version made it: start "
            "`hardcut run` once more and export it again"
        )
    if set(kept) != set(KINDS) or not all(isinstance(one, dict) for one in kept.values()):
        raise DamagedDataset(f"{dataset.folder}: {WITHHELD!r} of its marker is altered: export it again")
    return kept  # type: ignore[no-any-return]


def reason_of(dataset: Dataset, id: str) -> str | None:
    """Why a video, query or pair is withheld from a dataset; None where it is not, or nobody noted it."""
    kept = dataset.marker.get(WITHHELD, {})
    return next((kept[kind][digest(id)] for kind in KINDS if digest(id) in kept.get(kind, ())), None)


def counts(kept: Mapping[str, Mapping[str, str]]) -> str:
    """How much is withheld, in words."""
    told = [
        f"{number:,} {kind} {reason.replace('_', ' ')}"
        for kind in KINDS
        for reason, number in sorted(Counter(kept[kind].values()).items())
    ]
    return ", ".join(told) or "nothing"
