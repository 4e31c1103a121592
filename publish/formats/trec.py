"""TREC: qrels and runs, and the queries as id, tab, text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import read_lines, read_queries, split_of_name
from hardcut.publish.formats.writing import TEACHER, public_ids, run_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import format_run, read_qrels, read_run

V = TypeVar("V")

RENAMED = "renamed.txt"
"""The ids that could not stand in a TREC file, each after the name that it has there."""


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """For each split `SPLIT.qrels`, `SPLIT.queries.tsv`, and `SPLIT.NAME.run` of each first stage and of the teacher.

    TREC parts its columns by white space: an id that has some is percent-encoded, and `renamed.txt` lists each with the
    id in the dataset. Lines by file.
    """
    public = public_ids(dataset)
    columns = _columns([*public.values(), *(row["video_id"] for _, row in dataset.rows("corpus", ("video_id",)))])
    names = {query_id: columns[name] for query_id, name in public.items()}
    counts: dict[str, int] = {}
    for wanted in dataset.splits("pairs"):
        runs: defaultdict[str, defaultdict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        lines = 0
        with atomic_writer(out / f"{wanted}.qrels") as file:
            for split, row in dataset.rows("pairs", ("query_id", "video_id", "label", "first_stage", "logit_margin")):
                if split != wanted:
                    continue
                query, video = names[row["query_id"]], columns[row["video_id"]]
                file.write(f"{query} 0 {video} {row['label']}\n")
                lines += 1
                for hit in row["first_stage"]:
                    runs[run_name(hit["run"])][query][video] = hit["score"]
                if row["logit_margin"] is not None:
                    runs[TEACHER][query][video] = row["logit_margin"]
        counts[f"{wanted}.qrels"] = lines
        for name, run in sorted(runs.items()):
            with atomic_writer(out / f"{wanted}.{name}.run") as file:
                file.writelines(format_run(run, name))
            counts[f"{wanted}.{name}.run"] = sum(map(len, run.values()))
        with atomic_writer(out / f"{wanted}.queries.tsv") as file:
            for split, row in dataset.rows("queries", ("query_id", "query")):
                if split == wanted:
                    file.write(f"{names[row['query_id']]}\t{' '.join(row['query'].split())}\n")
        counts[f"{wanted}.queries.tsv"] = dataset.count("queries", wanted)
    renamed = sorted((column, id) for id, column in columns.items() if column != id)
    if renamed:
        with atomic_writer(out / RENAMED) as file:
            file.writelines(f"{column}\t{id}\n" for column, id in renamed)
        counts[RENAMED] = len(renamed)
    return counts


def _columns(ids: Iterable[str]) -> dict[str, str]:
    """What stands in a file for each id. Raises UsageError where that is another id already."""
    found = {id: id if id.split() == [id] else "".join(map(_encoded, id)) for id in ids}
    for id, column in found.items():
        if column != id and column in found:
            raise UsageError(f"{id!r} has white space and would be {column!r} in a TREC file, which is another's id")
    return found


def _encoded(char: str) -> str:
    return quote(char) if char.isspace() or char == "%" else char


def read(paths: Sequence[Path]) -> Imported:
    """Qrels (4 columns), runs (6 columns) and queries (.tsv: id, tab, text); which is which the first line tells.

    `renamed.txt`, where our export wrote one, gives ids their white space back. Grades are kept as they are, negative
    ones too. A file of queries or qrels whose name has a split's in it gives that split to its queries, and to the
    videos of no split before it. Raises UsageError naming file and line.
    """
    found = Imported("trec")
    ids = {name: unquote(name) for path in paths if path.name == RENAMED for name in _names(path)}
    for path in sorted(paths, key=lambda path: path.suffix.lower() != ".tsv"):  # a query is known before it is judged
        split = split_of_name(path)
        if path.name == RENAMED:
            continue
        if path.suffix.lower() == ".tsv":
            for where, id, text in read_queries(path):
                found.query(where, ids.get(id, id), text, split=split)
            continue
        columns = len(_first_line(path).split())
        if columns == 4:
            for query, grades in _named(ids, read_qrels(path)):
                for video, grade in grades:
                    found.judgment(f"{path}, query {query}", query, video, grade)
                    found.asked_in(split, query, video)
        elif columns == 6:
            run = read_run(path)
            found.of_run(str(path), run.tag)
            for query, scores in _named(ids, run.scores):
                for video, score in scores:
                    found.hit(f"{path}, query {query}", query, video, score)
        else:
            raise UsageError(f"{path}, line 1: {columns} columns: qrels have 4, a run has 6, queries come as .tsv")
    return found


def _named(ids: Mapping[str, str], values: Mapping[str, Mapping[str, V]]) -> Iterator[tuple[str, list[tuple[str, V]]]]:
    """Values by query and video, under the ids that the dataset has."""
    for query, of in values.items():
        yield ids.get(query, query), [(ids.get(video, video), value) for video, value in of.items()]


def _names(path: Path) -> Iterator[str]:
    for _, line in read_lines(path):
        name, tab, _ = line.partition("\t")
        if tab:
            yield name


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return next((line for line in file if line.strip()), "")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
