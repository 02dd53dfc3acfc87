"""Reasons as answers: sentences with the names that people know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.population import Kind
from forecast.reasons import theme_of
from forecast.records import Account, Campaign, CustomField, Person, Product, Team
from forecast.wording import CustomFeature, Language, reason_sentence, theme_label
from serving.schemas import Money, Reason, ThemePart

StoredReason = Mapping[str, Any]

_NAMED: Mapping[str, type[Any]] = MappingProxyType(
    {"owner_id": Person, "account_id": Account, "product_id": Product, "campaign_id": Campaign, "team_id": Team}
)


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """Says reasons in one language.

    Attributes:
        language: `en` or `zh`.
        custom: custom fields by their column.
        names: name by (feature, id).
    """

    language: Language
    custom: Mapping[str, CustomFeature]
    names: Mapping[tuple[str, str], str]

    def say(self, reasons: Iterable[StoredReason]) -> list[Reason]:
        """Give reasons with their sentences, in the order given."""
        return [
            Reason(
                theme=reason.get("theme") or theme_of(reason["feature"]),
                feature=reason["feature"],
                sentence=reason_sentence(self._named(reason), self.language, self.custom),
                value=reason["value"],
                usual=reason.get("usual"),
                usual_of=reason.get("usual_of"),
                contribution=reason["contribution"],
            )
            for reason in reasons
        ]

    def name_themes(self, themes: Iterable[Mapping[str, Any]]) -> list[ThemePart]:
        """Give the parts of themes with their names."""
        return [
            ThemePart(
                theme=part["theme"], label=theme_label(part["theme"], self.language), contribution=part["contribution"]
            )
            for part in themes
        ]

    def _named(self, reason: StoredReason) -> StoredReason:
        name = self.names.get((reason["feature"], reason["value"]))
        return {**reason, "value": name} if name else reason


def read_speaker(
    session: Session, language: Language, reasons: Sequence[StoredReason], *, kind: Kind = "opportunity"
) -> Speaker:
    """Read the names that these reasons of records of a kind need."""
    return Speaker(language=language, custom=_custom_features(session, kind), names=_names(session, reasons))


def money(amount: float | Decimal | None, currency: str | None) -> Money | None:
    """Give an amount to the cent, with its currency; nothing where it is missing."""
    if amount is None:
        return None
    return Money(amount=Decimal(str(amount)).quantize(Decimal("0.01")), currency=currency)


def _custom_features(session: Session, scored: Kind) -> dict[str, CustomFeature]:
    declared = session.execute(sa.select(CustomField.kind, CustomField.name, CustomField.label, CustomField.type))
    prefix = {scored: "custom_", "account": "account_custom_"}
    return {
        f"{prefix[kind]}{name}": CustomFeature(label=label or name, type=field_type)
        for kind, name, label, field_type in declared
        if kind in prefix
    }


def _names(session: Session, reasons: Sequence[StoredReason]) -> dict[tuple[str, str], str]:
    found = {}
    for feature, table in _NAMED.items():
        ids = {reason["value"] for reason in reasons if reason["feature"] == feature and reason["value"]}
        if ids:
            named = sa.select(table.id, table.name).where(table.id.in_(ids), table.name.is_not(None))
            found.update({(feature, identity): name for identity, name in session.execute(named)})
    return found
