"""Reasons in words, with the names that people know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.population import Kind
from forecast.records import Account, Campaign, CustomField, Person, Product, Team
from forecast.wording.labels import CustomFeature, Language
from forecast.wording.sentences import reason_sentence

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

    def sentence(self, reason: Mapping[str, Any]) -> str:
        """Say a reason as `reason_sentence` does, of whom or what by name."""
        name = self.names.get((reason["feature"], reason["value"]))
        return reason_sentence({**reason, "value": name} if name else reason, self.language, self.custom)


def read_speaker(
    session: Session, language: Language, reasons: Iterable[Mapping[str, Any]], *, kind: Kind = "opportunity"
) -> Speaker:
    """Read the names that these reasons of records of a kind need."""
    return Speaker(language=language, custom=_custom_features(session, kind), names=_names(session, reasons))


def _custom_features(session: Session, scored: Kind) -> dict[str, CustomFeature]:
    declared = session.execute(sa.select(CustomField.kind, CustomField.name, CustomField.label, CustomField.type))
    prefix = {scored: "custom_", "account": "account_custom_"}
    return {
        f"{prefix[kind]}{name}": CustomFeature(label=label or name, type=field_type)
        for kind, name, label, field_type in declared
        if kind in prefix
    }


def _names(session: Session, reasons: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    asked = {(reason["feature"], reason["value"]) for reason in reasons if reason["feature"] in _NAMED}
    found = {}
    for feature, table in _NAMED.items():
        ids = [value for of, value in asked if of == feature and value]
        if ids:
            these = table.id == sa.any_(sa.cast(ids, sa.ARRAY(sa.Text)))  # one parameter, however many ids
            named = session.execute(sa.select(table.id, table.name).where(these, table.name.is_not(None)))
            found.update({(feature, identity): name for identity, name in named})
    return found
