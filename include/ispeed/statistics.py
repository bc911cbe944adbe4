"""The statistics that SQL cannot say: ranks that bound a median, and how many hits chance does not explain."""

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


def unlikely_hits(counts: Iterable[int], rate: float, chance: float) -> list[tuple[int, int]]:
    """(n, k) for each number of cases n of which k hits are more than chance explains: an exact one-sided test.

    k is the smallest number with P(Binomial(n, rate) >= k) <= chance. An n is left out where even n hits are likelier.
    """
    from scipy.special import bdtrc

    found = []
    for n in sorted(set(counts)):
        if rate**n > chance:
            continue
        k = min(n, int(n * rate + 4 * (n * rate * (1 - rate)) ** 0.5) + 1)  # near it, then step to the exact number
        while k > 0 and bdtrc(k - 2, n, rate) <= chance:
            k -= 1
        while bdtrc(k - 1, n, rate) > chance:
            k += 1
        found.append((n, k))
    return found
