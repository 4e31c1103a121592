"""Whether a blind page tells if its query was written from its video: a predictor is trained on all that it reveals.

    python -m benchmarks.blind_pages NAME RUN --videos DIR [--cache DIR] [--pages 150]

Pairs of the run, drawn by chance, are pushed into an embedded Argilla by the code of `hardcut review push`, and read
as a reviewer's browser reads them: the records in the order in which this reviewer gets them, with every field, id and
time, and the clip and contact sheet of each with the headers that come along. What is predicted is whether a pair is
its query's own.

Accuracy is balanced (the mean over both classes: .5 is chance) and cross-validated: what the folds part by is never in
both of training and test. The better of a linear model and a forest counts. The interval of chance is that of the same
figure, 95 % of all deals, where labels are dealt anew among the pages of each video, and each video has the media of
another. So it is what a predictor does that is told nothing. `VIEWS` says what each predictor is given. VENV_ARGILLA
names the server's environment.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from scipy.sparse import csr_matrix, hstack
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from hardcut.annotate.embedded.environment import environment
from hardcut.annotate.embedded.server import Connection, Order, connection, running
from hardcut.annotate.records import read_run
from hardcut.annotate.review_content import PreviewLinks, page_content
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import NullProgress
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.review import Media, ServerOptions, push, run_settings
from hardcut.schemas.ids import canonical_json
from hardcut.schemas.records import COUNTERFACTUAL
from hardcut.schemas.settings import ReviewSettings

RESULTS = Path(__file__).parent / "results" / "blind_pages.json"
REVIEWER = "rita"
DEALS = 100
FOLDS = 5
Array = np.ndarray[Any, np.dtype[Any]]
_HISTOGRAM = 16
_THUMBNAIL = 4


@dataclass(frozen=True)
class Seen:
    """A page as the browser has it. `told`: figures of its record; `media`: of its clip and sheet; `words`: its query.
    The rest is what it is, which the browser is not told; `written`: from a video, and not by a user."""

    told: tuple[float, ...]
    media: tuple[float, ...]
    words: str
    query_id: str
    video_id: str
    own: bool
    counterfactual: bool
    written: bool


@dataclass(frozen=True)
class View:
    """What a predictor is given beside record and media, of which pages, and what its folds part by."""

    parts: Callable[[Seen], str]
    words: bool = False
    meetings: bool = False
    of: Callable[[Seen], bool] = lambda _: True


VIEWS: Mapping[str, View] = {
    "page": View(lambda page: page.video_id),
    "words": View(lambda page: page.query_id, words=True, of=lambda page: page.written and not page.counterfactual),
    "meetings": View(
        lambda page: page.query_id, meetings=True, of=lambda page: page.written and not page.counterfactual
    ),
    "all": View(lambda page: page.query_id, words=True, meetings=True),
}
"""`page`: record and media alone. `words`: the query's words too. `meetings`: how often the set asks about this query.
Both are of queries that were written to be answered by a video. `all`: everything, of all queries; that a query is a
user's own, which was written from no video, is in its words. Counterfactuals are not drawn."""
CONTROL = VIEWS["page"]
"""Of an assisted page, where the predictor must find what was written from the video."""


def read_pages(run: Path, videos: Path, cache: Path | None, pages: int) -> tuple[list[Seen], list[Seen]]:
    """The blind pages of so many pairs that are drawn by chance; and the same pages as they are shown assisted."""
    settings = run_settings(run)
    asked = ReviewSettings(budget=pages, overlap=1, audit=1.0, gold=0.0, preview_side=160)
    settings = settings.model_copy(update={"review": asked})
    venv = Path(os.environ.get("VENV_ARGILLA", cache_folder(cache).argilla)).resolve()
    python = environment(venv, NullProgress(), print)
    with tempfile.TemporaryDirectory() as folder:
        copy, data = Path(folder) / "run", Path(folder) / "argilla"
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("review", "argilla"))
        with running(python, data, Order(port=0, reviewers=(REVIEWER,))):
            push(ServerOptions(copy, data=data), Media(videos), settings, cache_folder(cache), NullProgress())
            found = _listed(connection(data, user=REVIEWER))
            records = read_run(copy)
            subjects = records.subjects([str(record["external_id"]) for record in found])
            media = _Media(connection(data, user=REVIEWER))
            met = Counter(json.loads(record["fields"]["page"]["page"])["clip"]["url"] for record in found)
            blind, assisted = [], []
            for place, record in enumerate(found):
                subject = subjects[record["external_id"]]
                page = json.loads(record["fields"]["page"]["page"])
                times = [datetime.fromisoformat(record[name]).timestamp() for name in ("inserted_at", "updated_at")]
                words, clip = page.pop("query"), page["clip"]["url"]
                language = page.pop("language")
                ids = (record["id"].replace("-", ""), record["external_id"].partition("_")[2])
                sizes = [len(canonical_json(each)) for each in (page, record["metadata"])]
                around = len(canonical_json(record)) - len(canonical_json(record["fields"]))  # without the words
                told = (place, *times, *map(_number, ids), *sizes, len(record.get("suggestions") or ()), around)
                one = Seen(
                    told=tuple(map(float, told)),
                    media=(
                        page["video"]["duration"],
                        page["video"]["fps"] or 0.0,
                        met[clip],
                        *media.of(clip),
                        *media.of(page["sheet"]),
                    ),
                    words=f"{words} {language}",
                    query_id=subject.query.query_id,
                    video_id=subject.video.video_id,
                    own=subject.query.source_video_id == subject.video.video_id,
                    counterfactual=subject.query.variant in COUNTERFACTUAL,
                    written=subject.query.source_video_id is not None,
                )  # fmt: skip
                blind.append(one)
                aided = page_content(subject, "assisted", PreviewLinks(clip, page["sheet"]), settings)
                assisted.append(replace(one, told=(*one.told, *_shown(aided))))
        return blind, assisted


def _listed(of: Connection) -> list[dict[str, Any]]:
    """All records that a reviewer is given, in this order, by the request of the browser."""
    with httpx.Client(base_url=of.url, headers={"X-Argilla-Api-Key": of.api_key}, timeout=60) as http:
        (dataset,) = (each["id"] for each in http.get("/api/v1/me/datasets").raise_for_status().json()["items"])
        found: list[dict[str, Any]] = []
        while True:
            options = {"offset": len(found), "limit": 50, "include": ["responses", "suggestions"]}
            path = f"/api/v1/me/datasets/{dataset}/records/search"
            listed = http.post(path, params=options, json={}).raise_for_status().json()["items"]
            found += [each["record"] for each in listed]
            if not listed:
                return found


class _Media:
    """What the files behind a page's links tell: bytes and headers, and of a sheet its colours."""

    def __init__(self, of: Connection) -> None:
        self._of = of
        self._known: dict[str, tuple[float, ...]] = {}

    def of(self, link: str) -> tuple[float, ...]:
        if link not in self._known:
            answer = httpx.get(self._of.url + link, timeout=60).raise_for_status()
            body = np.frombuffer(answer.content, dtype=np.uint8)
            histogram = np.histogram(body, _HISTOGRAM, (0, 256))[0] / len(body)
            told = [float(len(body)), parsedate_to_datetime(answer.headers["last-modified"]).timestamp()]
            told += [float(len(str(answer.headers))), _number(link.rpartition("/")[2].partition(".")[0])]
            self._known[link] = (*told, *map(float, histogram), *_colours(answer))
        return self._known[link]


def _colours(answer: httpx.Response) -> tuple[float, ...]:
    if answer.headers["content-type"] != "image/jpeg":
        return ()
    small = Image.open(io.BytesIO(answer.content)).convert("RGB").resize((_THUMBNAIL, _THUMBNAIL))
    return tuple(map(float, np.asarray(small).ravel()))


def _number(digits: str) -> float:
    """An id as a number between 0 and 1."""
    return int(digits[:13], 16) / 16.0**13


def _shown(page: Mapping[str, Any]) -> tuple[float, ...]:
    moment = page["clip"]["moment"]["start"]
    return (len(page["facets"]), len(page["evidence"]), page["clip"]["start"], -1.0 if moment is None else moment)


def measure(pages: Sequence[Seen], view: View, deals: int = DEALS) -> dict[str, Any]:
    """How well the predictor does, and the interval of chance."""
    chosen = [page for page in pages if view.of(page)]
    own = np.array([page.own for page in chosen])
    videos = _places([page.video_id for page in chosen])
    parts = _places([view.parts(page) for page in chosen])
    meetings = Counter(page.query_id for page in chosen)
    media = np.array([page.media for page in chosen])
    told = [[*page.told, *([meetings[page.query_id]] if view.meetings else [])] for page in chosen]
    words = None
    if view.words:
        told = [[*figures, len(page.words)] for figures, page in zip(told, chosen, strict=True)]
        letters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=1 << 14)
        words = letters.transform([page.words for page in chosen])
    folds = list(GroupKFold(min(FOLDS, len(set(parts))), shuffle=True, random_state=0).split(own, own, parts))
    found = _accuracy(np.column_stack([told, media]), words, own, folds)
    random = np.random.default_rng(0)
    chance = []
    for _ in range(deals):
        dealt, other = own.copy(), _exchanged(media, videos, random)
        for video in set(videos):
            dealt[videos == video] = random.permutation(own[videos == video])
        chance.append(_accuracy(np.column_stack([told, other]), words, dealt, folds))
    low, high = np.quantile(chance, (0.025, 0.975))
    return {
        "pages": len(chosen), "own": int(own.sum()), "accuracy": round(found, 3),
        "chance": [round(float(low), 3), round(float(high), 3)],
    }  # fmt: skip


def _exchanged(media: Array, videos: Array, random: np.random.Generator) -> Array:
    """The media of every video in the place of another's."""
    first = {video: media[videos == video][0] for video in sorted(set(videos))}
    others = dict(zip(first, random.permutation(list(first)), strict=True))
    return np.array([first[others[video]] for video in videos])


def _places(ids: Sequence[str]) -> Array:
    return np.unique(ids, return_inverse=True)[1]


def _accuracy(figures: Any, words: Any, own: Any, folds: Sequence[Any]) -> float:
    """Of the better of both models, over all folds."""
    said = {"linear": np.zeros(len(own), bool), "forest": np.zeros(len(own), bool)}
    for train, test in folds:
        if len(set(own[train])) < 2:
            for one in said.values():
                one[test] = own[train][0]
            continue
        scaler = StandardScaler().fit(figures[train])
        all_of = [csr_matrix(scaler.transform(figures[at])) for at in (train, test)]
        if words is not None:
            all_of = [hstack([each, words[at]]).tocsr() for each, at in zip(all_of, (train, test), strict=True)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            linear = LogisticRegression(class_weight="balanced", max_iter=200).fit(all_of[0], own[train])
        forest = RandomForestClassifier(30, class_weight="balanced_subsample", min_samples_leaf=3, random_state=0)
        said["linear"][test] = linear.predict(all_of[1])
        said["forest"][test] = forest.fit(figures[train], own[train]).predict(figures[test])
    return max(float(balanced_accuracy_score(own, one)) for one in said.values())


def main() -> None:
    """Prints a line for each view, and writes them under the name of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--pages", type=int, default=150)
    parser.add_argument("--deals", type=int, default=DEALS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    blind, assisted = read_pages(asked.run, asked.videos, asked.cache, asked.pages)
    rows = {name: measure(blind, view, asked.deals) for name, view in VIEWS.items()}
    rows["assisted"] = measure(assisted, CONTROL, asked.deals)
    for name, row in rows.items():
        print(name, json.dumps(row), flush=True)
    results = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    with atomic_writer(asked.out) as file:
        json.dump(dict(sorted({**results, asked.name: rows}.items())), file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
