"""Extractors that look at one video and at nothing else: each is a file beside this one, and a line here.

Those of text, speech, shots and movement share what they look at and stand in `stage.py`.
"""

from __future__ import annotations

from hardcut.synth.evidence.look import Extractor

EXTRACTORS: tuple[Extractor, ...] = (
    # Extractor(name, version, function),
)
