"""Figures from samples."""

from collections.abc import Mapping, Sequence
from statistics import median

Figures = Mapping[str, float]
"""The figures of one pass, by name."""


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` (0 to 1) of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]


def medians(passes: Sequence[Figures]) -> dict[str, float]:
    """The median of each figure over the passes."""
    return {name: median(one[name] for one in passes) for name in passes[0]}


def best(passes: Sequence[Figures], name: str, *, more_is_better: bool) -> float:
    """The best pass's value of a figure."""
    return (max if more_is_better else min)(one[name] for one in passes)
