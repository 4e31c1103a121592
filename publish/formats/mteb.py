"""MTEB and BEIR: the configs `corpus`, `queries`, `qrels` and `top_ranked` of a retrieval task, as MTEB's loader reads
them from a folder or the Hub."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hardcut.publish.dataset import Row
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import member, read_csv, split_of_name
from hardcut.publish.formats.writing import of_split, public_ids, told, write_lines, write_table
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Split

_CONFIGS = ("corpus", "queries", "qrels", "top_ranked")
_READ = frozenset({"_id", "id", "text", "title", "video", "query-id", "corpus-id", "score"})
"""Columns that are read of a table: others may hold pictures and sound."""


def write(given: Given, out: Path) -> dict[str, int]:
    """`CONFIG/SPLIT.jsonl` for each split (.parquet with videos), and a README.md that names them. A query has `id` and
    `text`; a judgment `query-id`, `corpus-id`, `score`. `top_ranked` are the judged videos of each query, in the order
    of the first stage: what MTEB reranks. The corpus of a split is what its pairs name.

    A document has `id` and, where `--videos` names the folder, `video`; else `title` and `text`, its caption and what
    is said in it. Never both: one would answer for the other. Rows by file.
    """
    from datasets import Features

    texts, names = told(given), public_ids(given)
    counts: dict[str, int] = {}
    for split in given.splits("pairs"):
        ranked: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        judged = []
        for row in of_split(given, "pairs", split, ("query_id", "video_id", "label", "first_stage")):
            place = min((hit["rank"] for hit in row["first_stage"]), default=float("inf"))
            ranked[names[row["query_id"]]].append((place, row["video_id"]))
            judged.append({"query-id": names[row["query_id"]], "corpus-id": row["video_id"], "score": row["label"]})
        named = {video for hits in ranked.values() for _, video in hits}
        queries = [
            {"id": names[row["query_id"]], "text": row["query"]}
            for row in of_split(given, "queries", split, ("query_id", "query"))
            if names[row["query_id"]] in ranked
        ]
        top = [{"query-id": id, "corpus-ids": [video for _, video in sorted(hits)]} for id, hits in ranked.items()]
        corpus = [_document(given, id, texts) for id in given.paths if id in named]
        for config, rows in zip(_CONFIGS, (corpus, queries, judged, top), strict=True):
            name = _name(given, config, split)
            (out / config).mkdir(exist_ok=True)
            counts[name] = (
                write_lines(out / name, rows)
                if given.videos is None
                else write_table(out / name, rows, Features(_columns()[config]))
            )
    (out / "README.md").write_text(_readme(given), encoding="utf-8", newline="\n")
    return counts


def _name(given: Given, config: str, split: str) -> str:
    """All configs are of one kind: `datasets` opens them all as it opens the first."""
    return f"{config}/{split}.{'jsonl' if given.videos is None else 'parquet'}"


def _document(given: Given, id: str, texts: Mapping[str, str]) -> Row:
    if given.videos is None:
        return {"id": id, "title": "", "text": texts.get(id, "")}
    return {"id": id, "video": {"path": given.paths[id], "bytes": None}}


def _columns() -> dict[str, dict[str, Any]]:
    from datasets import Value, Video

    text = Value("string")
    return {
        "corpus": {"id": text, "video": Video()},
        "queries": {"id": text, "text": text},
        "qrels": {"query-id": text, "corpus-id": text, "score": Value("int32")},
        "top_ranked": {"query-id": text, "corpus-ids": [text]},
    }


def _readme(given: Given) -> str:
    lines = ["---", "configs:"]
    for config in _CONFIGS:
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in given.splits("pairs"):
            lines += [f"  - split: {split}", f"    path: {_name(given, config, split)}"]
    return "\n".join([*lines, "---", "", "A retrieval task in MTEB's layout, written by `hardcut export`.", ""])


def read(paths: Sequence[Path]) -> Imported:
    """Queries (`_id` or `id`, `text`), a corpus of the same form in a file or folder called corpus, judgments
    (`query-id`, `corpus-id`, `score`) as .jsonl or .tsv. The name of a file of queries or judgments gives its split, as
    in qrels/test.tsv. Of the corpus `video`, a path, is kept."""
    found = Imported("mteb")
    for path in sorted(paths, key=_is_judgments):  # a query is known before it is judged
        split = split_of_name(path)
        if path.suffix.lower() == ".tsv":
            rows: Iterable[tuple[str, Mapping[str, Any]]] = read_csv(path, ("query-id", "corpus-id", "score"), "\t")
        elif path.suffix.lower() == ".jsonl":
            rows = ((f"{path}, line {number}", row) for number, row in read_objects(path))
        elif path.suffix.lower() == ".parquet":
            rows = _table_rows(path)
        else:
            raise UsageError(f"{path}: neither a .jsonl nor a .tsv nor a .parquet")
        for where, row in rows:
            _read_row(found, where, row, split, is_corpus=_named(path, "corpus"))
    return found


def _read_row(found: Imported, where: str, row: Mapping[str, Any], split: Split | None, *, is_corpus: bool) -> None:
    if "query-id" in row:
        if "score" not in row:
            return  # `top_ranked`: an order without scores
        found.judgment(where, row["query-id"], member(where, row, "corpus-id"), row["score"])
        found.asked_in(split, row["query-id"], row["corpus-id"])
        return
    id = row["_id"] if "_id" in row else member(where, row, "id")
    if is_corpus:
        found.located(found.video(where, id, title=row.get("title")), [row.get("video")])
    else:
        found.query(where, id, member(where, row, "text"), split=split)


def _table_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a table of the Hub, each with its place; of a column of videos the paths alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            wanted = [name for name in schema.names if name in _READ]
            if "video" in wanted and pa.types.is_struct(schema.field("video").type):
                wanted[wanted.index("video")] = "video.path"
            for batch in file.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    video = row.get("video")
                    yield f"{path}, row {number}", {**row, "video": video["path"] if isinstance(video, dict) else video}
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read as a table ({error})") from error


def _is_judgments(path: Path) -> bool:
    return path.suffix.lower() == ".tsv" or _named(path, "qrels")


def _named(path: Path, name: str) -> bool:
    return name in (path.stem, path.parent.name)
