"""What a caller should know of a score: the warnings of an item."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from forecast.registry import Version
from forecast.wording import Language, warning_sentence
from serving.posted import COLUMN_TYPES, Item, change_column, known_at
from serving.surroundings import Surroundings


def item_warnings(
    item: Item,
    version: Version,
    surroundings: Surroundings,
    *,
    as_of: datetime,
    zone: ZoneInfo,
    language: Language,
) -> list[str]:
    """List what of an item could not be used, or is not known; empty for a version that looks at nothing."""
    if version.basis == "prior":
        return []
    return [
        *_unknown_custom(item, version, language),
        *_never_seen(item, surroundings.seen, language),
        *_unknown_changes(item, version, language),
        *_useless_activities(item, as_of=as_of, zone=zone, language=language),
    ]


def _unknown_custom(item: Item, version: Version, language: Language) -> Iterator[str]:
    for name in item.custom:
        if f"custom_{name}" not in version.plan.custom:
            yield warning_sentence("custom_unknown", language, name=name, version=version.version)


def _never_seen(item: Item, seen: Mapping[str, frozenset[str]], language: Language) -> Iterator[str]:
    for field, values in seen.items():
        value = getattr(item, field)
        if value is not None and value not in values:
            yield warning_sentence("value_never_seen", language, field=field, value=value)


def _unknown_changes(item: Item, version: Version, language: Language) -> Iterator[str]:
    for field in dict.fromkeys(change.field for change in item.changes):
        if field not in {*COLUMN_TYPES, *type(item).model_fields} and change_column(field) not in version.plan.custom:
            yield warning_sentence("change_of_unknown_field", language, name=field)


def _useless_activities(item: Item, *, as_of: datetime, zone: ZoneInfo, language: Language) -> Iterator[str]:
    moments = [known_at(activity, zone) for activity in item.activities]
    without = sum(moment is None for moment in moments)
    late = sum(moment is not None and moment >= as_of for moment in moments)
    if without:
        yield warning_sentence("activity_without_moment", language, count=str(without))
    if late:
        yield warning_sentence("activity_not_known_yet", language, count=str(late), as_of=as_of.isoformat())
