"""Columns of a snapshot that are features as they are."""

CATEGORIES = (
    "source", "type", "pipeline_id", "currency", "campaign_id", "product_id", "product_family", "product_line",
    "owner_id", "owner_title", "account_id", "account_industry", "account_region", "account_country",
    "account_channel", "account_size", "forecast_category", "contact_title", "contact_decision_role",
)  # fmt: skip
NUMBERS = (
    "amount", "need_fit", "purchasing_power", "competition", "seller_probability", "account_employees",
    "account_annual_revenue", "account_founded_year", "product_list_price",
)  # fmt: skip
