"""What a label or a score can be told from without looking at the video: the shortcuts that a reranker would learn.

Each model is the simplest that could find the shortcut, judged on folds that it has not seen: logistic regression for
a label (AUC), ridge regression for a margin or score (R2, as in RANKVIDEO's audit of rerankers). Pure functions.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hardcut.schemas.dependencies import needs
from hardcut.schemas.ids import digest

PAIRS = 10_000
"""Pairs that a model is fitted on at most, whole queries, chosen by hash."""
FOLDS = 5
WIDEST_AUC = 0.15
"""How far a 95 % interval of an AUC may reach to either side for the AUC to say anything: as far as from chance (.5) to
the strictest limit of the gate (.65). With a wider one, a clean set and one beyond the limit look the same."""
WIDEST_R2 = 0.2
"""The same for an R2 at the strictest limit (.3): a measured 0 is then no .3."""


def auc_from(texts: Sequence[str], labels: Sequence[int], parts: Sequence[str] | None = None) -> float:
    """Out-of-fold AUC of the labels (0 or 1, both present) from bags of words. Folds part `parts` where given (so that
    it is words that tell and not names), else single pairs."""
    _need_sklearn()
    from sklearn.linear_model import LogisticRegression

    return auc(labels, _predicted(LogisticRegression(max_iter=300), texts, labels, parts, "predict_proba")[:, 1])


def r2_from(texts: Sequence[str], values: Sequence[float], parts: Sequence[str] | None = None) -> float:
    """Out-of-fold R2 of the values from bags of words, 0 where they tell nothing; folds as in `auc_from`."""
    _need_sklearn()
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    return max(0.0, float(r2_score(values, _predicted(Ridge(alpha=1.0), texts, values, parts, "predict"))))


def auc(labels: Sequence[int], scores: Iterable[float]) -> float:
    """The share of (relevant, not relevant) that are in the right order, or in the wrong one if that is more."""
    _need_sklearn()
    from sklearn.metrics import roc_auc_score

    found = float(roc_auc_score(labels, list(scores)))
    return max(found, 1 - found)


def auc_half_width(relevant: int, others: int) -> float:
    """How far the 95 % interval of an AUC at chance reaches to either side, of so many pairs of each label (Hanley and
    McNeil, 1982: the standard error of the Wilcoxon statistic). Pairs of one query are taken for independent."""
    if not relevant or not others:
        return 1.0
    return 1.96 * math.sqrt((relevant + others + 1) / (12 * relevant * others))


def r2_half_width(pairs: int, r2: float = 0.3) -> float:
    """The same of an R2 (its large-sample variance, 4 R2 (1 - R2)^2 / n)."""
    return 1.96 * math.sqrt(4 * r2 * (1 - r2) ** 2 / pairs) if pairs else 1.0


def auc_tells(labels: Sequence[int]) -> bool:
    """Whether there are pairs enough of both labels for an AUC to say anything."""
    return auc_half_width(sum(labels), len(labels) - sum(labels)) <= WIDEST_AUC


def r2_tells(pairs: int) -> bool:
    """Whether there are pairs enough for an R2 to say anything."""
    return r2_half_width(pairs) <= WIDEST_R2


def video_word(video_id: str) -> str:
    """A video as one word that says nothing but which video it is."""
    return f"v{digest(video_id)[:16]}"


def form_words(text: str) -> str:
    """How a text is written, and not what it says, as words for the models here: its length in letters and in words (in
    steps of a half), its last sign, signs and digits within it, how many words begin with a capital."""
    words = text.split()
    capitals = sum(word[:1].isupper() for word in words)
    last = text.strip()[-1:]
    told = [
        f"letters{round(2 * math.log2(len(text) + 1))}",
        f"words{round(2 * math.log2(len(words) + 1))}",
        f"last{ord(last) if last and not last.isalnum() else 0}",
        f"capitals{min(capitals, 4)}of{min(len(words), 4)}",
    ]
    signs = Counter(sign for sign in text.strip()[:-1] if not sign.isalnum() and not sign.isspace())
    told += [f"sign{ord(sign)}x{min(count, 4)}" for sign, count in sorted(signs.items())]
    return " ".join([*told, f"digits{min(sum(sign.isdigit() for sign in text), 8)}"])


def is_sampled(query_id: str, pairs: int) -> bool:
    """Whether a model is fitted on this query, where there are so many pairs in all."""
    return int(digest(query_id)[:8], 16) < min(1.0, PAIRS / max(1, pairs)) * 16**8


def _need_sklearn() -> None:
    """Raises MissingDependency where scikit-learn is not installed."""
    with needs("scikit-learn", "publish"):
        import sklearn  # noqa: F401


def _predicted(model: Any, texts: Sequence[str], wanted: Any, parts: Sequence[str] | None, method: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+", max_features=50_000)
    worded = [text if re.search(r"\w", text) else "wordless" for text in texts]
    vectors = words.fit_transform(worded)  # of all folds at once: it sees no label
    whole = len(set(parts)) if parts is not None else len(texts)
    folds = GroupKFold(min(FOLDS, whole)) if parts is not None else KFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folds with one label only: the AUC tells
        return cross_val_predict(model, vectors, wanted, groups=parts, cv=folds, method=method)
