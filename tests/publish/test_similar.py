"""Near duplicates among very many texts: what is set aside unread is never one, and a text costs a bounded amount."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.publish import similar
from hardcut.publish.minhash import Candidates
from hardcut.publish.same_wording import same_wording
from hardcut.publish.similar import normalised_text, similar_pairs
from hardcut.publish.word_sets import WordSets

_SPELLINGS = """
    a the door doors dor opens openned opened 7 8 gras grass man men 门 窗 ประตู проезд подъезд aaaa aaab
    unbelievable unbelieveable unbelievably abcdefgh abcdxyzh
"""
_WORDS = st.sampled_from(_SPELLINGS.split())
_TEXTS = st.lists(st.lists(_WORDS, max_size=9).map(" ".join), min_size=2, max_size=8)


@given(_TEXTS)
def test_what_words_set_aside_is_never_the_same_wording(given: list[str]) -> None:
    texts = [normalised_text(text) for text in given]
    here, there = np.triu_indices(len(texts), 1)
    may = WordSets(texts).may_be_one(here, there)
    refused = [(texts[i], texts[j]) for i, j, kept in zip(here, there, may, strict=True) if not kept]
    assert not any(same_wording(one, other) for one, other in refused)


@given(st.text("abcdef", min_size=1, max_size=11), st.text("abcdef", min_size=1, max_size=11))
def test_what_letters_set_aside_is_never_spelled_alike(here: str, there: str) -> None:
    [may] = WordSets([here, there]).may_be_one(np.array([0]), np.array([1]))
    assert may or not same_wording(here, there)


def test_texts_that_differ_by_a_word_are_told_apart_by_their_words() -> None:
    texts = ["a man opens the green door", "a man opens the red door", "a man shuts the green doors", "men and a door"]
    here, there = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2])
    assert WordSets(texts).may_be_one(here, there).tolist() == [False, False, False, False]
    long = " ".join(f"word{chr(97 + n)}" for n in range(20)), " ".join(f"{chr(97 + n)}other" for n in range(20))
    assert WordSets(long).may_be_one(np.array([0]), np.array([1])).tolist() == [True], "too many to look at"


def _of_one_template(count: int) -> dict[str, str]:
    """Texts that differ by words out of a few syllables: most share half of their letters with very many others."""
    random = Random(count)
    syllables = [f"{a}{b}{c}" for a in ("tra", "mel", "kor") for b in "aeiou" for c in ("ntel", "rd")]
    words = [f"{one}{two}" for one in syllables for two in syllables]
    return {
        f"q{number:05}": f'the text "{random.choice(words)} {random.choice(syllables)}" is read before the others'
        for number in range(count)
    }


def test_few_texts_are_compared_word_by_word_however_many_share_their_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look at numbers of words it is 2.3 and 6.6 for each text, and grows with their number."""
    asked = [0]

    def counted(here: str, there: str) -> bool:
        asked[0] += 1
        return same_wording(here, there)

    monkeypatch.setattr(similar, "same_wording", counted)
    shares = []
    for count in (1000, 4000):
        asked[0] = 0
        texts = _of_one_template(count)
        found = list(similar_pairs(texts, 0.75))
        shares.append(asked[0] / count)
        assert asked[0] >= len(found) - (count - len(set(texts.values()))) > 0
    assert max(shares) < 2


def test_a_text_meets_a_bounded_number_of_others() -> None:
    """In each of 20 bands at most 16: however many texts share its band."""
    met = []
    for count in (1000, 4000):
        texts = sorted({normalised_text(text) for text in _of_one_template(count).values()})
        candidates = Candidates(texts, 0.75)
        close = candidates._close
        pairs = 0

        def counted(*given: object, close=close) -> object:  # type: ignore[no-untyped-def]
            nonlocal pairs
            found = close(*given)
            pairs += len(found[0])
            return found

        candidates._close = counted  # type: ignore[method-assign, assignment]
        assert 0 < sum(1 for _ in candidates) <= pairs
        met.append(pairs / len(texts))
    assert max(met) <= 20 * 16
