"""The moment at which the tests of imports import."""

from datetime import UTC, datetime

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
