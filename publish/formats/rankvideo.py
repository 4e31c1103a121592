"""RANKVIDEO: JSON Lines of judged pairs as its training script reads them, and a first stage as JSON.

Read by its released train_reranker.py: query_id, query, doc_id, videos, true_label (1 and more: relevant; where it is
missing or null, teacher_label), teacher_p_yes. The rest is what its data set carries beside them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import member, read_json, read_queries, split_of_name
from hardcut.publish.formats.writing import public_ids, run_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json, read_objects

_OURS = re.compile(r"(?:train|validation|test)\.(.+)\.first_stage\.json")


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """`SPLIT.jsonl` and, of each first stage, `SPLIT.NAME.first_stage.json` for each split, and `queries.tsv`. `videos`
    are paths in the original collection: run its scripts from that folder. Rows by file."""
    speech = {row["video_id"]: row["speech"] for _, row in dataset.rows("corpus", ("video_id", "speech"))}
    names = public_ids(dataset)
    counts: dict[str, int] = {}
    for wanted in dataset.splits("pairs"):
        runs: defaultdict[str, defaultdict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        count = 0
        with atomic_writer(out / f"{wanted}.jsonl") as file:
            for split, row in dataset.rows("pairs"):
                if split != wanted:
                    continue
                query_id = names[row["query_id"]]
                evidence = {"caption": row["caption"] or "", "asr": speech.get(row["video_id"]) or ""}
                line = {
                    "query_id": query_id,
                    "query": row["query"],
                    "doc_id": row["video_id"],
                    "videos": [row["video_path"]],
                    "true_label": row["label"],
                    "teacher_p_yes": row["p_yes"],
                    "evidence": evidence,
                    "teacher_reasoning": row["reasoning"] or "",
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                for found in row["first_stage"]:
                    runs[run_name(found["run"])][query_id][row["video_id"]] = found["score"]
                count += 1
        counts[f"{wanted}.jsonl"] = count
        for run, hits in sorted(runs.items()):
            with atomic_writer(out / f"{wanted}.{run}.first_stage.json") as file:
                json.dump(hits, file, ensure_ascii=False, sort_keys=True)
            counts[f"{wanted}.{run}.first_stage.json"] = sum(map(len, hits.values()))
    with atomic_writer(out / "queries.tsv") as file:
        file.write("query_id\tquery_text\n")
        for _, row in dataset.rows("queries", ("query_id", "query")):
            file.write(f"{names[row['query_id']]}\t{' '.join(row['query'].split())}\n")
    return {**counts, "queries.tsv": dataset.count("queries")}


def read(paths: Sequence[Path]) -> Imported:
    """.jsonl: pairs; .json: a first stage (`{query: {video: score}}`), or pairs, a line each, as in training_data.json;
    .tsv: queries, as `queries.tsv` has them for a first stage.

    A line without a label is kept as a candidate without a judgment. A file whose name has a split's in it
    (train.jsonl, training_data.json) gives that split to its queries, and to the videos of no split before it.
    """
    found = Imported("rankvideo")
    for path in paths:
        if path.suffix.lower() == ".tsv":
            for where, id, text in read_queries(path):
                found.query(where, id, text)
            continue
        if path.suffix.lower() not in (".jsonl", ".json"):
            raise UsageError(f"{path}: neither a .jsonl of pairs, a .json of a first stage nor a .tsv of queries")
        if path.suffix.lower() == ".json" and not _lines(path):
            _first_stage(found, path)
            continue
        split = split_of_name(path)
        for number, row in read_objects(path):
            where = f"{path}, line {number}"
            query_id = found.query(where, member(where, row, "query_id"), member(where, row, "query"))
            evidence = row.get("evidence") or {}
            if not isinstance(evidence, dict):
                raise UsageError(f"{where}: evidence is {evidence!r}: an object with caption and asr is expected")
            video = found.video(
                where, member(where, row, "doc_id"), caption=evidence.get("caption"), speech=evidence.get("asr")
            )
            found.located(video, row.get("videos"))
            if query_id is not None:
                found.asked_in(split, query_id, video)
            label = row["true_label"] if row.get("true_label") is not None else row.get("teacher_label")
            if query_id is None:
                continue
            if label is None:
                found.skip(where, "no_judgment", f"{query_id} {video} has neither true_label nor teacher_label")
                continue
            found.judgment(
                where, query_id, video, label, teacher_p_yes=row.get("teacher_p_yes"),
                teacher_reasoning=row.get("teacher_reasoning") or None,
            )  # fmt: skip
    return found


def _first_stage(found: Imported, path: Path) -> None:
    whole = read_json(path)
    if named := _OURS.fullmatch(path.name):
        found.of_run(str(path), named[1])
    if not isinstance(whole, dict):
        raise UsageError(f"{path}: not an object of queries")
    for query, hits in whole.items():
        if not isinstance(hits, dict):
            raise UsageError(f"{path}, query {query}: not an object of videos and scores")
        for video, score in hits.items():
            found.hit(f"{path}, query {query}, video {video}", query, video, score)


def _lines(path: Path) -> bool:
    """Whether the first line is an object of its own that is a pair."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = parse_json(file.readline())
    except ValueError:
        return False
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    return isinstance(first, dict) and "doc_id" in first
