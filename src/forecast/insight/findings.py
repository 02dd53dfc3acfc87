"""What a check of the data finds, and how it is said in English and Chinese."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from forecast.wording import Language

Severity = Literal["error", "warning", "note"]

EXAMPLES_MAX = 5


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many of a kind's records there are (tombstoned ones apart), and how many of them fill a field."""

    kind: str
    field: str
    filled: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1; 0 where there is no record."""
        return self.filled / self.total if self.total else 0.0


@dataclass(frozen=True, kw_only=True)
class Need:
    """How much there is of something that training needs: won, lost, customers, buyers or months."""

    what: str
    found: int
    needed: int


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What a model needs to be trained, and the kind of record it learns from."""

    model: str
    kind: str
    needs: tuple[Need, ...]

    @property
    def enough(self) -> bool:
        """Whether it can be trained."""
        return all(need.found >= need.needed for need in self.needs)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One trouble of one kind of record; what it means and what to do stands under its code in phrases.toml.

    Attributes:
        code: `H` and three digits.
        kind: of the records, a key of RECORD_KINDS.
        field: that is at fault, `custom.<name>` for a custom one; None where it is the record as a whole.
        count: records in which it was found.
        total: records in which it could have been found.
        measure: what was measured, where the code has one: an AUC, or a share.
        examples: ids of at most EXAMPLES_MAX of the records.
    """

    code: str
    kind: str
    field: str | None = None
    count: int
    total: int
    measure: float | None = None
    examples: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """`error`: untrue as it stands; `warning`: it costs accuracy or misleads; `note`: it is good to know."""
        severity: Severity = phrases()["findings"][self.code]["severity"]
        return severity


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found in the data.

    Attributes:
        checked_at: the moment that counts as now.
        findings: errors first, then warnings, then notes; within them by code.
        coverage: a row for each kind that has records and each of its fields.
        readiness: a row for each model.
        staged_share: of closed opportunities, those whose moves between stages are known; None where none has closed.
    """

    checked_at: datetime
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    readiness: tuple[Readiness, ...]
    staged_share: float | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """A finding in words: what is wrong, in how many, what that means, what to do."""

    title: str
    extent: str
    meaning: str
    remedy: str


@cache
def phrases() -> Mapping[str, Any]:
    """Read phrases.toml, once."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")))


def phrase(group: str, name: str, language: Language) -> str:
    """Give a word or template of phrases.toml; a name that is not there stands for itself."""
    found = phrases()[group].get(name)
    return str(found[language]) if found else name


def say_finding(finding: Finding, language: Language) -> Said:
    """Put a finding into words."""
    words = phrases()["findings"][finding.code][language]
    extent = words.get("extent", phrase("words", "extent", language))
    return Said(
        title=words["title"],
        extent=extent.format(count=finding.count, total=finding.total, measure=finding.measure),
        meaning=words["meaning"],
        remedy=words["remedy"],
    )
