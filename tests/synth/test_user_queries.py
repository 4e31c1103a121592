from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Facet, Query, Sampling, TeacherRef
from hardcut.synth.decompose import Decomposer
from hardcut.synth.user_queries import UserQueryStage, read_queries
from hardcut.teacher.prompts.reply_models import DecomposedReply, DecomposeReply, PartReply
from hardcut.teacher.protocol import Outcome, Refusal, Reply, Request, Task
from hardcut.teacher.rules.teacher import EvidenceTeacher


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.tsv", "7\tred ball\nq8\ta  door, opening\n"),
        ("q.tsv", "\ufeffqid\ttext\r\n7\tred ball\r\n\r\nq8\ta door, opening"),
        ("q.tsv", "query-id\ttext\n7\tred ball\nq8\ta door, opening\n"),
        ("q.tsv", "#qid\tquery\n7\tred ball\nq8\ta door, opening\n"),
        ("q.jsonl", '{"_id": "7", "text": "red ball"}\n{"Query-ID": "q8", "query_text": "a door, opening"}\n'),
        ("q.csv", 'Query_id,query\n7,red ball\nq8,"a door, opening"\n'),
        ("q.csv", 'event,query,query_id\nfair,red ball,7\nfair,"a door,\nopening",q8\n'),
        ("q.jsonl", '{"query_id": 7, "query": "red ball"}\n{"query_id": "q8", "text": "a door, opening"}\n'),
    ],
)
def test_forms(tmp_path: Path, name: str, text: str) -> None:
    queries = read_queries(written(tmp_path, name, text))
    assert [(query.external_id, query.text) for query in queries] == [("7", "red ball"), ("q8", "a door, opening")]
    assert {(query.view, query.kind, query.source_video_id) for query in queries} == {("user", "event", None)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.tsv", "7\tred\u2028ball\x85\r\n8\tdoor\r"),
        ("q.csv", "id,text\n7,red\u2028ball\x85\n8,door\n"),
        ("q.jsonl", '{"id": "7", "text": "red\u2028ball\x85"}\n{"id": "8", "text": "door"}'),
    ],
)
def test_only_a_line_break_ends_a_line(tmp_path: Path, name: str, text: str) -> None:
    queries = read_queries(written(tmp_path, name, text))
    assert [(query.external_id, query.text) for query in queries] == [("7", "red ball"), ("8", "door")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.tsv", "1\tone\n2 two\n", "q.tsv, line 2: expected id, tab, text"),
        ("q.tsv", "1\tone\n2\ttwo\n1\tthree\n", "q.tsv, line 3: the id '1' is that of line 1 already"),
        ("q.tsv", "1\tone\n2\t \n", "q.tsv, line 2: the query has no text"),
        ("q.tsv", "\tone\n", "q.tsv, line 1: the query has no id"),
        ("q.tsv", "1\tone\n2\t\u200b\u200d\n", "q.tsv, line 2: the query has no text"),
        (
            "q.csv",
            "id;text\n1;one\n",
            "q.csv, line 1: the first line must name the columns Query_id and query, parted by commas",
        ),
        ("q.tsv", "\n", "no query in it"),
        ("q.tsv", b"1\tone\n2\tcaf\xe9\n", "q.tsv, line 2: not UTF-8"),
        ("q.csv", "id,words\n1,one\n", "q.csv, line 1: the first line must name"),
        ("q.csv", "Query_id,query\n1,one,two\n", "q.csv, line 2: 3 columns where line 1 names 2"),
        ("q.csv", 'Query_id,query\n1,"one\n', "q.csv, line 2: "),
        ("q.jsonl", '{"query_id": "1", "query": "one"}\n{"query_id"\n', "q.jsonl, line 2: not JSON"),
        ("q.jsonl", '{"query_id": "1", "query": "one", "split": "left"}\n', "q.jsonl, line 1: the split is 'left'"),
        ("q.jsonl", "[1]\n", "q.jsonl, line 1: expected an object"),
        ("q.jsonl", '{"query_id": "1"}\n', "q.jsonl, line 1: query_id, text"),
        ("q.txt", "1\tone\n", "queries come as"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_queries(written(tmp_path, name, text))
    assert message in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.tsv: the queries cannot be read"):
        read_queries(tmp_path / "none.tsv")


def test_stage(tmp_path: Path) -> None:
    one = UserQueryStage(written(tmp_path, "a.tsv", "7\tred ball\n"))
    [(unit, output)] = list(one.run(None))  # type: ignore[arg-type]  # it reads no records
    assert unit == "7"
    assert [query.text for query in output.records] == ["red ball"]  # type: ignore[attr-defined]
    same = UserQueryStage(written(tmp_path, "b.tsv", "7\tred ball\n"))
    other = UserQueryStage(written(tmp_path, "c.tsv", "7\tblue ball\n"))
    assert one.settings == same.settings != other.settings


class Silent:
    """Answers of two queries one, and nothing where a text says so."""

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return TeacherRef(backend="test", model="silent")

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        found: list[Outcome] = []
        for request in requests:
            asked = request.inputs["queries"]
            assert isinstance(asked, list) and not request.frames
            texts = [each["text"] for each in asked if isinstance(each, dict)]
            if "refused" in texts:
                found.append(Refusal("truncated", "the reply was cut", "{"))
                continue
            part = PartReply(text="a ball", modality="visual")
            reply = DecomposeReply(queries=(DecomposedReply(number=1, facets=(part,)),))
            found.append(Reply("", self.describe("decompose", request.sampling), parsed=reply))
        return found

    async def ping(self) -> str:
        return ""

    async def close(self) -> None: ...


async def test_what_a_teacher_does_not_take_apart_is_kept_and_told(tmp_path: Path) -> None:
    texts = ["red ball", "blue ball", *(f"ball {number}" for number in range(3, 11)), "refused"]
    file = written(tmp_path, "a.tsv", "".join(f"{number}\t{text}\n" for number, text in enumerate(texts, 1)))
    plain = UserQueryStage(file)
    stage = UserQueryStage(file, Decomposer(Silent(), Sampling()))
    assert stage.settings != plain.settings, "who takes queries apart is part of the key"
    made = dict((await stage.prepared()).run(None))  # type: ignore[arg-type]
    assert [query.text for output in made.values() for query in output.records] == texts  # type: ignore[attr-defined]
    assert made["1"].records[0].facets == (Facet(text="a ball", modality="visual"),)  # type: ignore[attr-defined]
    assert made["1"].dropped == [] and made["1"].failure is None
    [silent] = made["2"].dropped
    assert (silent.reason, silent.item) == ("no_facets", made["2"].records[0].query_id)  # type: ignore[attr-defined]
    assert made["11"].failure and made["11"].failure.reason == "truncated" and made["11"].failure.raw == "{"


async def test_facets_do_not_change_who_a_query_is(tmp_path: Path) -> None:
    """What was judged of it stays."""
    file = written(tmp_path, "a.tsv", '7\ta ball rolls to the left before a sign reads "SALE"\n')
    [(_, before)] = UserQueryStage(file).run(None)  # type: ignore[arg-type]
    prepared = await UserQueryStage(file, Decomposer(EvidenceTeacher(), Sampling())).prepared()
    [(_, output)] = prepared.run(None)  # type: ignore[arg-type]
    [query], [plain] = output.records, before.records
    assert isinstance(query, Query) and isinstance(plain, Query) and query.query_id == plain.query_id
    assert [(facet.text, facet.modality) for facet in query.facets] == [
        ("a ball rolls to the left", "motion"),
        ("SALE", "ocr"),
    ]
