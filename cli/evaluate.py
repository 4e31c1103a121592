"""`hardcut evaluate`: runs against qrels, as text, JSON and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.evaluate_runs import evaluate
from hardcut.report.statistics.significance import Mean
from hardcut.reranker.evaluation_page import Change, versus
from hardcut.reranker.results import BlockPasses, Evaluation


def evaluate_runs(
    qrels: Path,
    runs: Sequence[Path],
    measures: Sequence[str],
    dataset: Path | None,
    page: Path | None,
    slices: Sequence[str] = (),
    *,
    as_json: bool,
) -> int:
    """Measures the runs and prints what was found. Raises UsageError for a file that is not what it should be."""
    found = evaluate(qrels, *runs, measures=measures, dataset=dataset, page=page, slices=slices)
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        print_evaluation(found)
        if page is not None:
            output().print(f"page      {plain(str(page))}")
    return 0


def print_evaluation(found: Evaluation) -> None:
    """Tables of what was measured."""
    console = output()
    console.print(_measures(found))
    console.print(f"queries   {found.queries:,}, of which {found.without_relevant:,} have no relevant video")
    if found.leaked:
        console.print(
            f"leaked    {len(found.leaked):,} queries have the text of a training query: {_some(found.leaked)}",
            soft_wrap=True,
        )
        for run in found.runs:
            if run.unleaked is not None:
                console.print(f"leaked    {plain(run.name)} without them: {_mean_text(run.unleaked)}")
    for run in found.runs:
        if run.lacking:
            console.print(
                f"lacking   {plain(run.name)}: {len(run.lacking):,} queries, counted as 0: {_some(run.lacking)}"
            )
        if run.unjudged:
            console.print(f"unjudged  {plain(run.name)}: {run.unjudged:,} queries are not in the qrels, passed over")
        if run.apart is not None:
            theirs, ours = run.apart
            told = f"none of its videos is in the qrels, which name such as {ours!r}, and it such as {theirs!r}"
            console.print(f"apart     {plain(f'{run.name}: {told}: give both the same ids')}", soft_wrap=True)
        if run.ties is not None:
            worst, best = run.ties.ranges[found.measures[0]]
            told = f"{run.ties.queries:,} queries have ties that touch the first 10"
            console.print(
                f"ties      {plain(run.name)}: {told}; broken in the worst and the best order "
                f"{found.measures[0]} is {worst:.3f} and {best:.3f}",
                soft_wrap=True,
            )
    for comparison in found.comparisons:
        console.print(_comparison(found, comparison.run))
        each = versus(found, comparison)
        _changes(console, "won", each.won)
        _changes(console, "lost", each.lost)
    if found.runs[0].slices:
        console.print(_slices(found))
    for run in found.runs:
        _calibration(console, found, run.name)
    console.print(f"rules     {found.rules}", soft_wrap=True)


def _measures(found: Evaluation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measure")
    for run in found.runs:
        table.add_column(plain(run.name), justify="right")
    for measure in found.measures:
        table.add_row(measure, *(_mean_text(run.measures[measure]) for run in found.runs))
    return table


def _some(queries: Sequence[str]) -> str:
    return plain(", ".join(queries[:5]) + (", ..." if len(queries) > 5 else ""))


def _comparison(found: Evaluation, run: str) -> Table:
    comparison = next(each for each in found.comparisons if each.run == run)
    gain = "" if comparison.relative is None else f" ({100 * comparison.relative:+.1f} % {found.measures[0]})"
    table = Table(
        title=f"\n{plain(run)} against {plain(comparison.against)}{gain}", title_justify="left", title_style="bold",
        box=None, pad_edge=False,
    )  # fmt: skip
    for column in ("measure", "difference", "p", "p (Holm)", "won", "lost", "equal"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    parts = {
        f"{facet}: {part}": of for facet, of_facet in comparison.slices.items() for part, of in of_facet.items()
        if len(of_facet) > 1
    }  # fmt: skip
    for name, of in {**{of.measure: of for of in comparison.measures}, **parts}.items():
        numbers = (f"{of.won:,}", f"{of.lost:,}", f"{of.equal:,}")
        p_values = (f"{of.p_value:.4f}", f"{of.p_holm:.4f}")
        table.add_row(plain(name), _mean_text(of.difference, "+.3f"), *p_values, *numbers)
    return table


def _changes(console: Console, name: str, changes: Sequence[Change]) -> None:
    for change in changes[:5]:
        query = change.query.text or change.query.query_id
        if change.query.reference:
            query += f" (starts from {change.query.reference})"
        console.print(f"{name:9} {change.before:.3f} -> {change.after:.3f}  {plain(query)}", soft_wrap=True)


def _slices(found: Evaluation) -> Table:
    table = Table(title=f"\n{found.measures[0]} by slice", title_justify="left", title_style="bold", box=None)
    table.add_column("queries")
    table.add_column("count", justify="right")
    for run in found.runs:
        table.add_column(plain(run.name), justify="right")
    for facet, parts in found.runs[0].slices.items():
        for part in parts:
            means = [run.slices[facet][part] for run in found.runs]
            table.add_row(plain(f"{facet}: {part}"), f"{means[0].queries:,}", *map(_mean_text, means))
    return table


def _calibration(console: Console, found: Evaluation, name: str) -> None:
    run = next(each for each in found.runs if each.name == name)
    console.print(f"\n[bold]{plain(name)}[/]")
    if run.calibration is None:
        console.print(f"calibration  {run.calibration_note}")
    else:
        errors = ", ".join(f"{method} {of.ece:.3f}" for method, of in run.calibration.overall.items())
        console.print(f"calibration  ECE {errors}; temperature {run.calibration.temperature:.3g}")
    parts = (("the video alone", run.prior.video_only), ("the query alone", run.prior.query_only))
    errors = ", ".join(f"{value:.3f} from {what}" for what, value in parts if value is not None)
    console.print(
        f"prior        R2 of the scores: {errors or 'not measured'}{f' ({run.prior.note})' * bool(run.prior.note)}"
    )
    if run.diagnostic is not None:
        splits = ", ".join(run.diagnostic.splits) or "all splits: the dataset does not know the qrels' queries"
        for change, of in run.diagnostic.changes.items():
            console.print(f"diagnostic   {change} ({splits}): {_passes(of)}", soft_wrap=True)


def _passes(of: BlockPasses) -> str:
    if of.rate is None:
        return f"none of {of.blocks} blocks scored"
    low, high = of.interval
    alone = "not known" if of.text_alone is None else f"{of.text_alone:.3f}"
    from_, to = of.mirrored_interval
    both = f"; both videos {of.mirrored_passed} of {of.mirrored} ({from_:.3f} to {to:.3f})" if of.mirrored else ""
    share = f"{of.scored} of {of.blocks} blocks scored ({100 * of.share_scored:.0f} %)"
    return f"{of.rate:.3f} ({low:.3f} to {high:.3f}) of {share}, chance 0.5, text alone {alone}{both}"


def _mean_text(mean: Mean, form: str = ".3f") -> str:
    if mean.mean is None or mean.low is None or mean.high is None:
        return "-"
    return f"{mean.mean:{form}} [dim]({mean.low:{form}} to {mean.high:{form}})[/]"
