"""Value maps: what the texts of an export mean, as its source contract says."""

from __future__ import annotations

from collections.abc import Sequence

from ispeed.contracts import Contract
from ispeed.engine import Engine
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.text import fold


def value_pairs(
    engine: Engine, contract: Contract, relation: str, columns: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """By column, (text found, what it means) for the texts of a relation that mean another; a technology's own name does
    in any case of letters."""
    technologies = {fold(name): name for name in TECHNOLOGY_NETWORK} | dict(contract.values.get("technology", {}))
    pairs = {}
    for column, meanings in ({**contract.values, "technology": technologies}).items():
        # Whoever sends a file decides how many texts there are: they are looked at in parts, and few are kept.
        found = [
            (raw, meanings[fold(text)])
            for batch in engine.batches(f"select distinct {column}, clean_text({column}, []) from {relation}")
            for raw, text in batch
            if text is not None and meanings.get(fold(text), raw) != raw
        ]
        if found and column in columns:
            pairs[column] = found
    return pairs
