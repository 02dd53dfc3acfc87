"""Reasons as answers: sentences with the names that people know."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from forecast.scoring.reasons import theme_of
from forecast.wording import theme_label
from forecast.wording.speaker import Speaker
from serving.schemas import Money, Reason, ThemePart

StoredReason = Mapping[str, Any]


def say_reasons(speaker: Speaker, reasons: Iterable[StoredReason]) -> list[Reason]:
    """Give reasons with their sentences, in the order given."""
    return [
        Reason(
            theme=reason.get("theme") or theme_of(reason["feature"]),
            feature=reason["feature"],
            sentence=speaker.sentence(reason),
            value=reason["value"],
            usual=reason.get("usual"),
            usual_of=reason.get("usual_of"),
            contribution=reason["contribution"],
        )
        for reason in reasons
    ]


def name_themes(speaker: Speaker, themes: Iterable[Mapping[str, Any]]) -> list[ThemePart]:
    """Give the parts of themes with their names."""
    return [
        ThemePart(
            theme=part["theme"], label=theme_label(part["theme"], speaker.language), contribution=part["contribution"]
        )
        for part in themes
    ]


def money(amount: float | Decimal | None, currency: str | None) -> Money | None:
    """Give an amount to the cent, with its currency; nothing where it is missing."""
    if amount is None:
        return None
    return Money(amount=Decimal(str(amount)).quantize(Decimal("0.01")), currency=currency)
