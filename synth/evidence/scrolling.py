"""Text that scrolls through the picture, put together out of what was read of it while it passed. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise

from hardcut.synth.evidence.tracks import Line, Reading
from hardcut.synth.evidence.unread import same_height

_EDGE = 0.03
"""A line that comes so near to the edge of the picture may be cut there."""
_CUT = 2
"""Letters at a cut that may be read as others: half a w is a v."""
_LEAST_COMMON, _COMMON_SHARE = 6, 0.5
"""Letters in a row that a reading shares with what was put together before, and their share of the shorter. What is
shorter than that is passed over."""
_LEAST_READINGS = 3
_LONGER = 1.15
"""What is put together is so many times longer than any reading, or the line does not scroll."""

_APART_S = 1.0
"""Pieces of one line that hurries through follow each other within so long."""


def whole_lines(lines: Sequence[Line]) -> list[Line]:
    """The lines of a video, with each that scrolls told once: with all of its text, over all of its way.

    What hurries is read as several lines, for it is further away each time than a line may move: those are one line
    where each is cut by an edge of the picture, they stand at one height, and their text fits together.
    """
    found: list[Line] = []
    left = sorted(lines, key=lambda line: line.start)
    while left:
        chain = [left.pop(0)]
        for line in list(left):
            if _goes_on(chain[-1], line):
                chain.append(line)
                left.remove(line)
        whole = _whole(chain)
        found += [whole] if whole else [_whole([line]) or line for line in chain]
    return sorted(found, key=lambda line: (line.start, line.box[1], line.box[0], line.text))


def _goes_on(line: Line, later: Line) -> bool:
    """Whether the later line may be more of a line that scrolls."""
    cut = line.seen[-1].box[2] > 1 - _EDGE or later.seen[0].box[0] < _EDGE
    return cut and same_height(line.box, later.box) and -_APART_S <= later.start - line.end <= _APART_S


def _whole(chain: Sequence[Line]) -> Line | None:
    """One line out of pieces in order of time; None where they are none."""
    seen = tuple(sorted((reading for line in chain for reading in line.seen), key=lambda reading: reading.frame))
    text = put_together(seen)
    if text is None or not all(_uncut(reading) in text for reading in seen if len(_uncut(reading)) < _LEAST_COMMON):
        return None
    first, longest = chain[0], max(chain, key=lambda line: len(line.text))
    left, top, right, bottom = zip(*(reading.box for reading in seen), strict=True)
    box = (min(left), min(top), max(right), max(bottom))
    end = max(line.end for line in chain)
    return replace(longest, text=text, start=first.start, end=end, box=box, seen=seen)


def put_together(readings: Sequence[Reading]) -> str | None:
    """The whole text of a line that goes to the left; None where it does not, or its pieces do not fit together.

    A piece is told only where it was read inside the picture: what is cut at an edge is left to the reading before or
    after it.
    """
    seen = [reading for reading in readings if len(_uncut(reading)) >= _LEAST_COMMON]
    if len(seen) < _LEAST_READINGS or not _goes_left(seen):
        return None
    whole = piece = _uncut(seen[0])
    for reading in seen[1:]:
        piece = _uncut(reading)
        match = SequenceMatcher(None, whole, piece, autojunk=False).find_longest_match()
        if match.size < max(_LEAST_COMMON, _COMMON_SHARE * min(len(piece), len(whole))):
            return None
        rest = piece[match.b + match.size :]
        if len(rest) > len(whole) - (match.a + match.size):
            whole = whole[: match.a + match.size] + rest
    longest = max(len(reading.text) for reading in seen)
    if seen[-1].box[2] > 1 - _EDGE and piece and whole.endswith(piece):
        whole = whole.rpartition(" ")[0]  # the last word did not come in as a whole
    return whole.strip() if len(whole.strip()) >= _LONGER * longest else None


def _goes_left(seen: Sequence[Reading]) -> bool:
    """Whether the line stays at one height and no reading begins further to the right than the one before."""
    heights = [(reading.box[1] + reading.box[3]) / 2 for reading in seen]
    level = max(heights) - min(heights) < _EDGE
    lefts = [reading.box[0] for reading in seen]
    return level and all(later <= earlier + _EDGE / 2 for earlier, later in pairwise(lefts))


def _uncut(reading: Reading) -> str:
    """The letters that surely were inside the picture."""
    text = reading.text
    if reading.box[2] > 1 - _EDGE:
        text = text[:-_CUT]
    return text[_CUT:] if reading.box[0] < _EDGE else text
