"""Activities on opportunities and leads as a CRM exports them."""

import numpy as np
import polars as pl

from forecast.demo import words as w
from forecast.demo.columns import Ints, choose, ids, local_words, moments, with_gaps, words
from forecast.demo.market import SPEAKS_CHINESE
from forecast.demo.workdays import Workdays

_INBOUND_TYPES = (0.4, 0.5, 0.1, 0.0, 0.0, 0.0)
_OWN_TYPES = (0.28, 0.3, 0.12, 0.1, 0.12, 0.08)
_TYPE_MINUTES = np.array([12.0, 0.0, 50.0, 110.0, 0.0, 0.0])
_TASK = w.ACTIVITY_TYPES.index("task")


def export_activities(rng: np.random.Generator, events: pl.DataFrame, workdays: Workdays) -> pl.DataFrame:
    """Write activities that were entered within the history, in order of entry.

    `events` has `opportunity, lead, account, region, seller, at, entered, inbound`, -1 where there is none.
    """
    entered = events.with_columns(
        entered_seconds=pl.Series(workdays.seconds(events["region"].to_numpy(), events["entered"].to_numpy())),
        seconds=pl.Series(workdays.seconds(events["region"].to_numpy(), events["at"].to_numpy())),
    ).filter(pl.col("entered_seconds") < workdays.until_seconds)
    done = entered.sort("entered_seconds", maintain_order=True)
    count, inbound = done.height, done["inbound"].to_numpy()
    kind = np.where(inbound, choose(rng, _INBOUND_TYPES, count), choose(rng, _OWN_TYPES, count))
    minutes = np.round(_TYPE_MINUTES[kind] * rng.lognormal(0, 0.4, count))
    subject = kind + len(w.ACTIVITY_TYPES) * rng.integers(0, 2, count)
    chinese = SPEAKS_CHINESE[done["region"].to_numpy()]
    return pl.DataFrame(
        {
            "id": ids("V", np.arange(count), digits=8),
            "created_at": moments(done["entered_seconds"].to_numpy()),
            "opportunity_id": _references("O", done["opportunity"].to_numpy(), digits=7),
            "lead_id": _references("N", done["lead"].to_numpy(), digits=6),
            "account_id": _references("A", done["account"].to_numpy(), digits=5),
            "person_id": ids("U", done["seller"].to_numpy(), digits=2),
            "type": words(w.ACTIVITY_TYPES, kind),
            "direction": with_gaps(words(("outbound", "inbound"), inbound.astype(np.int64)), kind >= _TASK),
            "subject": local_words(w.SUBJECTS_ZH, w.SUBJECTS_EN, codes=subject, in_chinese=chinese),
            "occurred_at": moments(done["seconds"].to_numpy()),
            "duration_minutes": with_gaps(pl.Series(minutes), minutes == 0),
        }
    )


def _references(prefix: str, numbers: Ints, *, digits: int) -> pl.Series:
    return with_gaps(ids(prefix, numbers, digits=digits), numbers < 0)
