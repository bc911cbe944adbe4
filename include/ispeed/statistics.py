"""The statistics that SQL cannot say: ranks of the order statistics that bound a median."""

from __future__ import annotations

from collections.abc import Iterable


def interval_ranks(counts: Iterable[int]) -> list[tuple[int, int]]:
    """(n, k) for each sample size n that has a 95 % interval [x(k), x(n-k+1)] of the median.

    k is the largest rank with P(Binomial(n, 1/2) < k) <= 0.025; sizes where it is 0 (n under 6) are left out.
    Source: David and Nagaraja, Order Statistics (3rd ed.), section 7.1.
    """
    from scipy.special import bdtr  # half a second to import

    ranks = []
    for n in sorted(set(counts)):
        k = max(0, int(n / 2 - 0.98 * n**0.5))  # the normal approximation, then step to the exact rank
        while k > 0 and bdtr(k - 1, n, 0.5) > 0.025:
            k -= 1
        while bdtr(k, n, 0.5) <= 0.025:
            k += 1
        if k > 0:
            ranks.append((n, k))
    return ranks
