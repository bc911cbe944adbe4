"""What loggers tell while a command prints the same itself."""

from __future__ import annotations

import logging

import pytest

from ispeed.log_lines import errors_alone


def test_within_the_block_errors_alone_are_told_and_after_it_all_is(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("ispeed.staging")
    with caplog.at_level(logging.INFO):
        with errors_alone("ispeed"):
            log.warning("printed by the command")
            log.error("an error")
        log.info("told again")
    assert [record.getMessage() for record in caplog.records] == ["an error", "told again"]
