"""`hardcut review report`: agreement, reviewers, teachers and what is open, as text, JSON and a part of report.html."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from hardcut.annotate.review_quality import Proportion, ReviewReport
from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.review import report as make_report
from hardcut.report.statistics.agreement import Agreement, Interval


def report(run: Path, cache: Path | None, *, as_json: bool) -> int:
    """Prints the report, keeps it as review.json and brings report.html up to date."""
    found, page = make_report(run, cache_folder(cache))
    if as_json:
        print(found.model_dump_json(indent=2, by_alias=True))
    else:
        _print(found)
        output().print(f"page      {plain(str(page))}#review")
    return 0


def _print(found: ReviewReport) -> None:
    console = output()
    decided = ", ".join(f"{count:,} {source}" for source, count in found.decided.items()) or "none"
    console.print(
        f"answers   {found.answers:,} on {found.pairs:,} pairs, {found.discarded:,} discarded, "
        f"{found.drafts:,} drafts, {found.orphans:,} orphaned; "
        f"pairs decided: {decided}; in conflict: {len(found.conflicts):,}"
    )
    if found.flags or found.rewrites:
        flags = ", ".join(f"{count:,} {flag}" for flag, count in found.flags.items()) or "none"
        console.print(f"flags     {flags}; queries reworded: {found.rewrites:,}")
    if found.conflicts:
        console.print("conflicts `hardcut review push` puts them before a third person")
    if found.nobody_left:
        console.print(
            f"conflicts on {len(found.nobody_left):,} of them everybody has voted who reviews: invite another person "
            "(`hardcut review serve --reviewers NAME`), or name who settles them under [review] as `experts`"
        )
    if found.suggestions_changed.total:
        console.print(f"assisted  {_share(found.suggestions_changed)} of the suggestions were changed")
    if found.compared:
        console.print(
            f"compared  {found.compared.couples:,} times two videos, {found.compared.answers:,} answers; people agree "
            f"on {found.compared.agreed:,}; the teachers' margins put the same one first in "
            f"{_share(found.compared.margins_follow)}, {_interval(found.compared.margins_follow.interval)}"
        )
    console.print()
    console.print(
        _agreement(found) if found.agreement else "no pair has two blind answers: nothing is known of agreement"
    )
    for kappa in found.kappas:
        text = f"{_number(kappa.kappa)} {_interval(kappa.interval)}, raw {kappa.raw:.2f}, {kappa.pairs:,} pairs"
        console.print(f"kappa     {plain(' and '.join(kappa.reviewers))}: {text}")
    console.print()
    console.print(_reviewers(found))
    for dispute in found.gold_disputes:
        said = ", ".join(map(str, dispute.said))
        console.print(
            f"gold?     {plain(dispute.query)} / {plain(dispute.video_id)}: known {dispute.known}, said {said}"
        )
    for teacher in found.teachers:
        console.print(
            f"teacher   {plain(teacher.teacher)}: precision {_number(teacher.precision)} "
            f"{_interval(teacher.precision_interval)}, recall {_number(teacher.recall)} "
            f"{_interval(teacher.recall_interval)}, from {teacher.audited:,} of {teacher.pairs:,} pairs drawn by chance"
            f"{'; few of a verdict were judged, so the intervals are wide' if teacher.few else ''}"
        )
    if found.teachers:
        console.print("`hardcut calibrate --blind` fits margins and thresholds to the blind answers")


def _agreement(found: ReviewReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="Blind agreement", title_justify="left")
    table.add_column("kind")
    for column in ("people", "pairs", "raw", "", "alpha", "", "ordinal", "Fleiss", ""):
        table.add_column(column, justify="right")
    rows: list[tuple[str, Agreement]] = [*found.by_kind.items()]
    for kind, each in [("all", found.agreement), *rows]:
        if each is not None:
            table.add_row(
                kind,
                f"{each.reviewers}",
                f"{each.pairs:,}",
                f"{each.raw:.2f}",
                _interval(each.raw_interval),
                _number(each.alpha),
                _interval(each.alpha_interval),
                _number(each.alpha_ordinal),
                _number(each.fleiss),
                _interval(each.fleiss_interval),
            )
    return table


def _reviewers(found: ReviewReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="Reviewers", title_justify="left")
    table.add_column("name")
    for column in ("answers", "blind", "discarded", "median s", "hours", "right on gold", "as others", "changed"):
        table.add_column(column, justify="right")
    for each in found.reviewers:
        table.add_row(
            plain(each.name),
            f"{each.answers:,}",
            f"{each.blind:,}",
            f"{each.discarded:,}",
            "-" if each.seconds_each is None else f"{each.seconds_each:.1f}",
            f"{each.seconds / 3600:.1f}",
            _share(each.gold),
            _share(each.with_others),
            _share(each.changed),
        )
    return table


def _share(share: Proportion) -> str:
    return "-" if share.value is None else f"{share.value:.2f} ({share.count:,} of {share.total:,})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"
