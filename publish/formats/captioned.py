"""Videos with sentences about them: VATEX, MSVD, LSMDC, and NegBench's lists with negation.

A sentence is a query that its video answers. The name of a file gives the split, to queries as well as to videos.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import header_of, member, read_csv, read_json, read_lines, split_of_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Split

_LANGUAGES = {"enCap": "en", "chCap": "zh"}
_LSMDC_TIME = re.compile(r"_\d\d\.\d\d\.\d\d\.\d+-\d\d\.\d\d\.\d\d\.\d+$")
_LSMDC_TESTS = ("publictect", "publictest", "blindtest")


def read_vatex(paths: Sequence[Path]) -> Imported:
    """vatex_training_v1.0.json and its like: a list of `{videoID, enCap, chCap}`, ten sentences in each language. The
    YouTube video is the source of a clip, so that no split parts it."""
    found = Imported("vatex")
    for path in paths:
        split, whole = split_of_name(path), read_json(path)
        if not isinstance(whole, list):
            raise UsageError(f"{path}: not a list of videos")
        for number, row in enumerate(whole):
            where = f"{path}, [{number}]"
            id = found.video(where, member(where, row, "videoID"), split=split)
            found.video(where, id, source=id.rsplit("_", 2)[0])
            for field, language in _LANGUAGES.items():
                sentences = row.get(field) or []
                if not isinstance(sentences, list):
                    raise UsageError(f"{where}: {field!r} is not a list")
                for sentence in sentences:
                    found.said(where, id, sentence, split=split, language=language)
    return found


def read_msvd(paths: Sequence[Path]) -> Imported:
    """AllVideoDescriptions.txt (`ID SENTENCE`, parted by a blank or a tab; lines that begin with # are passed over),
    and lists of ids whose names give their split (train_list.txt, val_list.txt, test_list.txt)."""
    found, splits = Imported("msvd"), {}
    for path in paths:
        split = split_of_name(path)
        for where, line in read_lines(path):
            id, *sentence = line.split(maxsplit=1)
            if line.startswith("#"):
                continue
            if sentence:
                found.said(where, id, sentence[0])
            elif split is not None:
                splits[found.video(where, id, split=split)] = split
            else:
                raise UsageError(f"{where}: an id alone, and the file's name says no split: call it train, val or test")
    for query, video in found.judgments:
        if video in splits:
            found.queries[query]["split"] = splits[video]
    return found


def read_lsmdc(paths: Sequence[Path]) -> Imported:
    """LSMDC16_annos_training.csv and its like, and LSMDC16_challenge_1000_publictect.csv, the test of retrieval, which
    is published under this name: the clip's name, four times, the sentence, parted by tabs. The film is the source of
    a clip, so that no split parts it."""
    found = Imported("lsmdc")
    for path in paths:
        split: Split | None = "test" if path.stem.lower().endswith(_LSMDC_TESTS) else split_of_name(path)
        for where, line in read_lines(path):
            cells = line.split("\t")
            if len(cells) < 6:
                raise UsageError(f"{where}: {len(cells)} columns, and six are expected, parted by tabs")
            id = found.video(where, cells[0], split=split, source=_LSMDC_TIME.sub("", cells[0].strip()))
            found.said(where, id, cells[5], split=split)
    return found


def read_negbench(paths: Sequence[Path]) -> Imported:
    """Retrieval lists (image_id or filepath, captions) and choices (image_path, caption_0 to caption_3,
    correct_answer). Of a choice each caption is a query: the right one is answered by the video, the others are not.
    All of it is test."""
    found = Imported("negbench")
    for path in paths:
        names = header_of(path)
        if "caption_0" in names:
            for number, (where, row) in enumerate(read_csv(path, ("image_path", "caption_0", "correct_answer"))):
                id = _of_path(found, where, row["image_path"])
                captions = [row[name] for name in row if re.fullmatch(r"caption_\d+", name)]
                if row["correct_answer"] not in map(str, range(len(captions))):
                    raise UsageError(f"{where}: correct_answer is {row['correct_answer']!r}")
                for at, caption in enumerate(captions):
                    query = found.query(where, f"{path.stem}-{number}-{at}", caption, split="test")
                    if query is not None:
                        found.judgment(where, query, id, int(str(at) == row["correct_answer"]))
            continue
        column = next((name for name in ("filepath", "image_id") if name in names), "filepath")
        for where, row in read_csv(path, (column, "captions")):
            id = _of_path(found, where, row[column])
            for caption in _literal(where, row["captions"]):
                found.said(where, id, caption, split="test")
    return found


CAPTIONED: dict[str, Callable[[Sequence[Path]], Imported]] = {
    "lsmdc": read_lsmdc,
    "msvd": read_msvd,
    "negbench": read_negbench,
    "vatex": read_vatex,
}


def _of_path(found: Imported, where: str, path: str) -> str:
    """A video by its path on another machine: it goes by its name."""
    name = PurePosixPath(path.strip())
    id = found.video(where, name.stem if name.suffix else name.name, split="test")
    found.located(id, [name.name])
    return id


def _literal(where: str, text: str) -> list[str]:
    """A Python list of texts, as these files have it. Nothing is run."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where}: captions is not a list of texts") from error
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{where}: captions is not a list of texts")
    return value
