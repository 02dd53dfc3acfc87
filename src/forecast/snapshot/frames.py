"""Columns of frames that a history holds."""

import polars as pl

_MOMENT = pl.Datetime("us", "UTC")

QUOTE_TYPES = pl.Schema(
    {"opportunity_id": pl.String(), "known_at": _MOMENT, "amount": pl.Float64(), "discount_share": pl.Float64()}
)
CONTACT_TYPES = pl.Schema(dict.fromkeys(("contact_id", "contact_title", "contact_decision_role"), pl.String()))
ACCOUNT_EVENT_TYPES = pl.Schema(
    dict.fromkeys(("account_id", "opportunity_id", "kind"), pl.String())
    | {"happened_at": _MOMENT, "count": pl.Int64(), "amount": pl.Float64()}
)
