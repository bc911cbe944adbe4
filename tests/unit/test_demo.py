"""Which months a demo that was cut off still has to publish."""

from __future__ import annotations

from ispeed.commands import _cut_off
from ispeed.database import Database
from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.settings import Settings

AUGUST, SEPTEMBER = Month(2024, 8), Month(2024, 9)
ROW = {"fingerprint": "f", "manifest_sha256": "m", "n_raw": 1, "n_accepted": 1, "n_quarantined": 0}


def test_sample_months_that_are_not_published_are_still_to_be_and_an_engineers_own_are_left(settings: Settings) -> None:
    make_exports(settings, [AUGUST, SEPTEMBER], n_rows=200)
    assert _cut_off(settings, [AUGUST, SEPTEMBER]) == [AUGUST, SEPTEMBER]
    with Database(settings.database_url).publishing(AUGUST, 1, {}, {**ROW, "published_by": "me", "why": "first"}):
        pass
    assert _cut_off(settings, [AUGUST, SEPTEMBER]) == [SEPTEMBER]
    (settings.exports_of(SEPTEMBER) / ".sample").unlink()
    assert _cut_off(settings, [AUGUST, SEPTEMBER]) == []
