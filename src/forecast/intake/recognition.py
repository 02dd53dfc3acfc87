"""Recognise what kind of record a file holds, and which field each of its columns fills."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from forecast.errors import MappingError
from forecast.intake import vocabulary
from forecast.intake.mapping import CUSTOM, IGNORE, custom_name
from forecast.intake.mapping import Mapping as ColumnMapping

_LEAST_SCORE = 0.5
_NEAR_SHARE = 0.8


@dataclass(frozen=True)
class Matched:
    """The field of every column, the times of the custom fields that are outcomes, and sentences on what was decided."""

    columns: dict[str, str]
    times: dict[str, str]
    warnings: tuple[str, ...]


def recognise_kind(headings: Sequence[str], title: str) -> str:
    """Tell the kind of a file by its headings, of two that fit about as well that whose id comes first; its title is a weak hint.

    Raises:
        MappingError: no kind fits, or two fit alike.
    """
    scores = sorted(((_score(kind, headings, title), kind) for kind in vocabulary.KINDS), reverse=True)
    (best, kind), (second, other) = scores[:2]
    if best < _LEAST_SCORE:
        found = "the headings " + ", ".join(headings[:12])[:200] + " name no kind of record"
    elif second >= _NEAR_SHARE * best and (first := _first_identified((kind, other), headings)):
        return first
    elif best - second >= 0.1:
        return kind
    else:
        found = f"the headings fit {kind} and {other} alike"
    raise MappingError(f"{title}: {found}; say which it is with --as, one of {', '.join(vocabulary.KINDS)}")


def _first_identified(kinds: Collection[str], headings: Sequence[str]) -> str | None:
    """Give the kind whose own id comes first, where both are named: deals may name their orders, and orders their deals."""
    identified = []
    for heading in headings:
        known = [(kind, vocabulary.match_heading(kind, heading)) for kind in kinds]
        own = [kind for kind, match in known if match and match.field == "external_id"]
        identified += own if len(own) == 1 else []
    return identified[0] if set(identified) == set(kinds) else None


def _score(kind: str, headings: Sequence[str], title: str) -> float:
    """Weigh each field found by how few kinds know its heading."""
    weights: dict[str, float] = {}
    for heading in headings:
        match = vocabulary.match_heading(kind, heading)
        if match is not None:
            knowing = sum(vocabulary.match_heading(other, heading) is not None for other in vocabulary.KINDS)
            weights[match.field] = max(weights.get(match.field, 0.0), 1 / knowing)
    name = title.rpartition("/")[2].casefold()
    if not weights or not vocabulary.has_needed(kind, weights) or vocabulary.is_named_otherwise(kind, name):
        return 0.0
    hinted = any(hint in name for hint in vocabulary.file_name_hints(kind))
    return sum(weights.values()) + (0.5 if hinted else 0.0)


def match_columns(kind: str, headings: Sequence[str], mapping: ColumnMapping) -> Matched:
    """Give every column its field: as the mapping says, else as its heading names one, else a custom field."""
    columns = {heading: target for heading, target in mapping.columns.items() if heading in headings}
    warnings = [
        f'the mapping names a column "{name}" that the file does not have'
        for name in mapping.columns
        if name not in headings
    ]
    _refuse_doubles(columns, mapping)
    taken = {*columns.values(), *mapping.constants}
    losers = _match_headings(kind, headings, columns, taken)
    warnings += _fill_rest(kind, headings, columns, losers)
    late = {
        custom: heading
        for heading, target in columns.items()
        if (custom := target.removeprefix(CUSTOM)) != target
        and (vocabulary.is_outcome(heading, beside=taken) or _is_outcome_field(kind, losers.get(heading)))
    }
    if late:
        named = ", ".join(f'"{heading}"' for heading in late.values())
        warnings.append(
            f"{named}: known only as of the export, so kept out of snapshots; or set when it is known in [times] of a mapping"
        )
    return Matched({heading: columns[heading] for heading in headings}, dict.fromkeys(late, "outcome"), tuple(warnings))


def _is_outcome_field(kind: str, field: str | None) -> bool:
    return field is not None and vocabulary.field_time(kind, field) == "outcome"


def _fill_rest(kind: str, headings: Sequence[str], columns: dict[str, str], losers: Mapping[str, str]) -> list[str]:
    """Add to `columns` the custom fields and what is ignored; give sentences on the columns whose field was taken."""
    warnings = []
    for heading in headings:
        if heading in columns:
            continue
        if kind == "change" or vocabulary.is_ignored(heading):
            columns[heading] = IGNORE
            continue
        columns[heading] = custom_target(heading, set(columns.values()))
        if heading in losers:
            warnings.append(
                f'"{heading}" also names {losers[heading]}, which another column fills; it is kept as {columns[heading]}'
            )
    return warnings


def _refuse_doubles(columns: dict[str, str], mapping: ColumnMapping) -> None:
    seen = dict.fromkeys(mapping.constants, "a constant")
    for heading, target in columns.items():
        if target != IGNORE and target in seen:
            raise MappingError(
                f'the mapping fills {target} from {seen[target]} and from "{heading}"; keep one, set the other to {IGNORE}'
            )
        seen[target] = f'"{heading}"'


def _match_headings(kind: str, headings: Sequence[str], columns: dict[str, str], taken: set[str]) -> dict[str, str]:
    """Add to `columns` the fields that headings name, most specific first; give those whose field was taken."""
    matches = [
        (match.rank, place, heading, match.field)
        for place, heading in enumerate(headings)
        if (match := _open_match(kind, heading, columns))
    ]
    losers = {}
    for _, _, heading, field in sorted(matches):
        if field in taken:
            losers[heading] = field
        else:
            columns[heading] = field
            taken.add(field)
    return losers


def _open_match(kind: str, heading: str, columns: dict[str, str]) -> vocabulary.Match | None:
    if heading in columns or vocabulary.is_ignored(heading):
        return None
    return vocabulary.match_heading(kind, heading)


def custom_target(heading: str, taken: Collection[str]) -> str:
    """Make the custom field of a heading, of a name that is not taken; our own exports write it as `custom.<name>`."""
    heading = heading.removeprefix(CUSTOM)
    name = custom_name(heading)
    copies = 1
    while f"{CUSTOM}{name}" in taken:
        copies += 1
        name = f"{custom_name(heading)}_{copies}"
    return f"{CUSTOM}{name}"
