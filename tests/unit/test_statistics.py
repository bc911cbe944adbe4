from __future__ import annotations

import pytest

from ispeed.statistics import interval_ranks


def exact_rank(n: int) -> int:
    """The largest k with P(Binomial(n, 1/2) < k) <= 1/40, in whole numbers."""
    k, of_k, below, total = 0, 1, 0, 2**n
    while 40 * (below + of_k) <= total:
        below += of_k
        k += 1
        of_k = of_k * (n - k + 1) // k
    return k


def test_ranks_are_those_of_exact_arithmetic() -> None:
    expected = [(n, exact_rank(n)) for n in range(1, 600) if exact_rank(n) > 0]
    assert interval_ranks(range(1, 600)) == expected


@pytest.mark.parametrize(("n", "k"), [(5, None), (6, 1), (30, 10), (300, 133)])
def test_known_ranks(n: int, k: int | None) -> None:
    assert dict(interval_ranks([n])).get(n) == k


def test_a_large_sample_steps_to_the_same_rank() -> None:
    assert interval_ranks([20_000]) == [(20_000, exact_rank(20_000))]
