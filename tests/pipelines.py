"""Small pipelines whose law is known."""

from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.records import Opportunity

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def steady_pipeline(*, days, seed=1, a_day=2.0, won_share=0.3, lasts_days=30.0, paid=1.0):
    """Make opportunities over 100 that come evenly; each is open for as long, then won at `paid` of it, or lost."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, at in enumerate(np.sort(rng.uniform(0, days, int(a_day * days)))):
        created = START + at * DAY
        closed = created + lasts_days * DAY
        is_over, is_won = closed < START + days * DAY, rng.random() < won_share
        rows.append(
            Opportunity(
                id=f"O{number}",
                created_at=created,
                amount=100,
                owner_id=f"U{number % 2}",
                status=("won" if is_won else "lost") if is_over else "open",
                closed_at=closed if is_over else None,
                won_amount=100 * paid if is_over and is_won else None,
            )
        )
    return rows
