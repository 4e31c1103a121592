"""ir_measures (trec_eval): the teacher's run over the qrels of each split."""

from __future__ import annotations

import ir_measures
from consumer import FOLDER, TRUTH, Shown, judged, report

if __name__ == "__main__":
    ids = {path.rsplit("/", 1)[1].split(".")[0]: path for path in TRUTH["splits"]}
    rows = []
    for name in TRUTH["counts"]["trec"]:
        if name.endswith(".qrels"):
            split = name.split(".")[0]
            queries = dict(line.split("\t") for line in (FOLDER / f"trec/{split}.queries.tsv").read_text().splitlines())
            qrels = list(ir_measures.read_trec_qrels(str(FOLDER / "trec" / name)))
            run = list(ir_measures.read_trec_run(str(FOLDER / "trec" / f"{split}.teacher.run")))
            answered = {one.query_id for one in qrels if one.relevance > 0}
            scores = {one.query_id: one.value for one in ir_measures.iter_calc([ir_measures.nDCG @ 10], qrels, run)}
            assert answered and all(scores[query] == 1 for query in answered), scores
            rows += [Shown(split, queries[one.query_id], (ids[one.doc_id],)) for one in qrels]
    report("ir_measures", {"trec": judged(rows)})
