"""How a dataset is cited: in BibTeX that any name leaves whole."""

from __future__ import annotations

from hardcut.publish.citation import bibtex


def test_an_entry_has_title_authors_and_version() -> None:
    assert bibtex("Signs & streets", ["Ada Lovelace", "Institute of Signs"], "1.2.0") == (
        "@misc{signs-streets,\n"
        "  title = {{Signs \\& streets}},\n"
        "  author = {{Ada Lovelace} and {Institute of Signs}},\n"
        "  note = {Dataset, version 1.2.0, made with Hardcut}\n"
        "}"
    )


def test_no_name_breaks_out_of_its_field_or_of_the_fence() -> None:
    entry = bibtex("<b>}, note = {x} ``` \\\\input{a}\n```\n# Title", [], "1.0.0")
    assert "`" not in entry and "<" not in entry and entry.count("\n") == 3
    assert entry.count("{") == entry.count("}") and "author" not in entry
    assert bibtex("門", [], "1.0.0").startswith("@misc{dataset,\n")
