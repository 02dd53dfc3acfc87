"""Sentences found again among those with values."""

import time

from forecast.wording.phrasebook import find_phrase

SECONDS_MAX = 1.0


def test_what_strangers_sent_is_looked_up_at_once():
    """A sentence that holds the marks of many phrases thousands of times is no reason to search for minutes."""
    began = time.process_time()
    assert find_phrase('" ' * 20_000, "errors.toml", "imports.toml") is None
    assert time.process_time() - began < SECONDS_MAX
