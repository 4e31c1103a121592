"""Fits `synth/evidence/lookalikes.json`: how likely three letters in a row are in Latin words that Cyrillic or Greek
letters could be taken for, against Cyrillic and Greek words read as Latin letters.

    pip install wordfreq==3.1.1 && python benchmarks/lookalikes.py

Words and how often they are used: `wordfreq`, the 20,000 most usual ones of each language. A letter that no Latin one
looks like is left out, as the recogniser does; a word with more than two of five such letters is not taken. Each word
weighs the root of its frequency. A fifth of the words is held out: of them the script prints which share of Latin ones
is kept and which of the others passes. What is written is fitted on all.
"""

from __future__ import annotations

import json
import math
import random
import unicodedata
from collections import Counter
from pathlib import Path

import wordfreq  # type: ignore[import-not-found]

from hardcut.synth.evidence.lookalikes import LETTERS, Model

LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "id", "sv", "fi", "ro", "hu", "cs", "da")
CYRILLIC = dict(zip("АВСЕНІКМОРТХУЗ", "ABCEHIKMOPTXY3", strict=True))
GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True))
FOREIGN = {"ru": CYRILLIC, "uk": CYRILLIC, "bg": CYRILLIC, "mk": CYRILLIC, "el": GREEK}
MOST, LEAST_ALIKE = 20_000, 0.6
ADDED = 0.05
"""What each possible letter is counted more often, so that none is impossible."""
OUT = Path(__file__).resolve().parents[1] / "synth" / "evidence" / "lookalikes.json"


def plain(word: str) -> str:
    """In capitals, without accents; И with a breve is И."""
    return "".join(c for c in unicodedata.normalize("NFD", word.upper()) if not unicodedata.combining(c))


def latin() -> Counter[str]:
    """Latin words all of whose letters are look-alikes."""
    found: Counter[str] = Counter()
    for language in LATIN:
        for word in wordfreq.top_n_list(language, MOST):
            if len(told := plain(word)) >= 2 and set(told) <= LETTERS:
                found[told] += wordfreq.word_frequency(word, language) ** 0.5
    return found


def foreign() -> Counter[str]:
    """Cyrillic and Greek words as they are read in Latin letters."""
    found: Counter[str] = Counter()
    for language, letters in FOREIGN.items():
        for word in wordfreq.top_n_list(language, MOST):
            told = [letters.get(letter, "") for letter in plain(word)]
            alike = sum(map(bool, told))
            if alike >= max(2, LEAST_ALIKE * len(told)):
                weight = 1.0 if alike == len(told) else 0.3
                found["".join(told)] += weight * wordfreq.word_frequency(word, language) ** 0.5
    return found


def fit(ours: Counter[str], others: Counter[str]) -> Model:
    """Log-odds of each letter after the two before it, in tenths."""
    tables = []
    for words in (ours, others):
        scale = 1000 / sum(words.values())
        table: Counter[str] = Counter()
        for word, weight in words.items():
            padded = f"^^{word}$"
            for at in range(len(padded) - 2):
                table[padded[at : at + 3]] += weight * scale
                table[padded[at : at + 2] + "*"] += weight * scale
        tables.append(table)
    one, other = tables
    kinds = len(LETTERS) + 1

    def odds(three: str) -> float:
        before = three[:2] + "*"
        chance = [(t[three] + ADDED) / (t[before] + ADDED * kinds) for t in (one, other)]
        return math.log(chance[0] / chance[1])

    seen = sorted({three for table in tables for three in table if not three.endswith("*")})
    return {three: value for three in seen if (value := round(10 * odds(three)))}


def halves(words: Counter[str], draw: random.Random) -> tuple[Counter[str], Counter[str]]:
    """Four fifths to fit on, a fifth held out."""
    held = set(draw.sample(sorted(words), len(words) // 5))
    return Counter({w: n for w, n in words.items() if w not in held}), Counter({w: words[w] for w in held})


def main() -> None:
    from hardcut.synth.evidence.lookalikes import LEAST, odds

    ours, others = latin(), foreign()
    draw = random.Random(1)
    (kept, kept_out), (left, left_out) = halves(ours, draw), halves(others, draw)
    model = fit(kept, left)
    ours_kept, others_passed = (
        sum(n for w, n in words.items() if odds(w, model) > LEAST) / words.total() for words in (kept_out, left_out)
    )
    print(f"of {len(kept_out)} Latin words held out {ours_kept:.1%} are kept")
    print(f"of {len(left_out)} others held out {others_passed:.1%} pass")
    OUT.write_text(json.dumps(fit(ours, others), separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
