"""The loss of an embedder: InfoNCE and what a teacher knows, each by sentence-transformers, over one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentence_transformers import SentenceTransformer, util
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    DistillKLDivLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor, distributed, nn

from hardcut.schemas.training import EmbeddingSettings


class Objective(nn.Module):  # type: ignore[misc,unused-ignore]
    """The terms that have a weight, over the columns anchor, positive, negatives; the log shows each.

    contrastive: -log softmax(cos / temperature) at the positive, over all positives and negatives of the batch, of all
    processes (TARA, arXiv 2512.13511). With `hardness` an example's own negatives weigh exp(hardness cos) in its
    denominator, which has no gradient (EmbeddingGemma, arXiv 2509.20354). margin: the squared error of cos /
    temperature, positive minus negative, to the teacher's difference (Hofstaetter et al., arXiv 2010.02666). listwise:
    KL divergence of the softmax over a group (Lin et al., arXiv 2010.11386). The last two where labels, [examples, 1 +
    negatives], are given.
    """

    def __init__(self, model: SentenceTransformer, settings: EmbeddingSettings, *, margins: bool) -> None:
        super().__init__()
        self.model: Any = model
        loss = settings.loss
        scale = 1 / loss.temperature

        def scaled(one: Tensor, other: Tensor) -> Tensor:
            return util.pairwise_cos_sim(one, other) * scale

        self._weights: dict[str, float] = {}
        self._terms: dict[str, Any] = {}
        if loss.contrastive:
            self._add("contrastive", loss.contrastive, _contrastive(model, settings))
        if loss.margin and margins:
            self._add("margin", loss.margin, MarginMSELoss(model, similarity_fct=scaled))
        if loss.listwise and margins:
            kept = DistillKLDivLoss(
                model, similarity_fct=scaled, student_temperature=1.0, teacher_temperature=loss.teacher_temperature
            )
            self._add("listwise", loss.listwise, kept)

    @property
    def is_off(self) -> bool:
        """Whether no term is left: there are no margins for those that have a weight."""
        return not self._terms

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None) -> dict[str, Tensor]:
        columns = list(sentence_features)
        if isinstance(self._terms.get("contrastive"), CachedMultipleNegativesRankingLoss):
            cached = self._terms["contrastive"]
            cached.model = self.model  # a trainer may have wrapped it
            return {"contrastive": self._weights["contrastive"] * cached(columns, labels)}
        embeddings = embed_columns(self.model, columns)
        return {
            name: self._weights[name] * term.compute_loss_from_embeddings(embeddings, labels)
            for name, term in self._terms.items()
        }

    def _add(self, name: str, weight: float, term: Any) -> None:
        self._weights[name] = weight
        self._terms[name] = term


def _contrastive(model: SentenceTransformer, settings: EmbeddingSettings) -> Any:
    loss = settings.loss
    options: dict[str, Any] = {
        "scale": 1 / loss.temperature,
        "gather_across_devices": distributed.is_available() and distributed.is_initialized(),
    }
    if loss.hardness:
        options |= {"hardness_mode": "hard_negatives", "hardness_strength": loss.hardness}
    if settings.mini_batch is None:
        return MultipleNegativesRankingLoss(model, **options)
    return CachedMultipleNegativesRankingLoss(model, mini_batch_size=settings.mini_batch, **options)
