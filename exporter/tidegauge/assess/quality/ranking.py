"""NDCG, mean reciprocal rank and hit rate: means over rankings, each of a quantity in [0, 1]."""

from __future__ import annotations

from tidegauge.assess.counts import Estimates, RankingCounts
from tidegauge.assess.quality.means import mean_share, rate


def ndcg(counts: RankingCounts) -> Estimates:
    """Mean NDCG of the first k items (Jarvelin, Kekalainen 2002, ACM TOIS 20:422), binary relevance."""
    return mean_share(counts.ndcg)


def mrr(counts: RankingCounts) -> Estimates:
    """Mean of 1 / rank of the first relevant item, 0 where none is among the first k (Voorhees 1999, TREC-8)."""
    return mean_share(counts.reciprocal_rank)


def hit_rate(counts: RankingCounts) -> Estimates:
    """Share of rankings with a relevant item among the first k."""
    return rate(counts.hit)
