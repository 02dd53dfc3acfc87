"""What the model would say of an opportunity if something about it were different: association, not cause."""

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from forecast.errors import ConflictError, InputError
from forecast.registry import Version
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import refused_subjects, score_opportunities
from forecast.snapshot import History, take_snapshot
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.snapshot.stages import stages_at

MEETING_TYPES = ("meeting", "会议", "面谈", "event")
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Supposition:
    """What is supposed; what is None stays as it is.

    Attributes:
        amount, expected_close_on, stage: taken at the moment asked for.
        meeting_at: a meeting entered then; planned where it lies ahead, held where it lies behind.

    Raises:
        InputError: nothing is supposed, or an amount that is none.
    """

    amount: float | None = None
    expected_close_on: date | None = None
    stage: str | None = None
    meeting_at: datetime | None = None

    def __post_init__(self) -> None:
        if all(value is None for value in vars(self).values()):
            raise InputError("nothing is supposed; give an amount, an expected close date, a stage or a meeting")
        if self.amount is not None and not 0 <= self.amount < math.inf:
            raise InputError(f"the supposed amount is {self.amount:g}; give a number from 0 on")


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """Two rows of `scores.score_opportunities`: as things stand, and as supposed."""

    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def moved(self) -> dict[str, float]:
        """How much each theme moved, in log-odds, the most first; what did not move is left out."""
        old, new = (
            {part["theme"]: part["contribution"] for part in row["themes"]} for row in (self.before, self.after)
        )
        moved = {theme: new[theme] - old[theme] for theme in new if abs(new[theme] - old[theme]) > 1e-9}
        return dict(sorted(moved.items(), key=lambda item: -abs(item[1])))


def what_if(
    history: History,
    version: Version,
    opportunity_id: str,
    supposition: Supposition,
    *,
    as_of: datetime,
    policies: GradePolicies,
) -> WhatIf:
    """Score an opportunity as it stands at `as_of`, and as supposed.

    Raises:
        ConflictError: it can't be scored at that moment.
        InputError: the stage is none of the pipelines'.
    """
    subject = pl.DataFrame({"opportunity_id": [opportunity_id], "as_of": [as_of]}).cast(
        {"as_of": pl.Datetime("us", "UTC")}
    )
    for reason in refused_subjects(history, subject)["reason"]:
        raise ConflictError(f'opportunity "{opportunity_id}" can\'t be scored at {as_of.isoformat()}: {reason}')
    _check_stage(stages_at(history.stages, as_of), supposition.stage)
    supposed = suppose(history, subject, supposition, meeting_type=_meeting_type(version))
    before, after = (
        score_opportunities(given, version, subject, policies=policies).row(0, named=True)
        for given in (history, supposed)
    )
    return WhatIf(before=before, after=after)


def suppose(history: History, subject: pl.DataFrame, supposition: Supposition, *, meeting_type: str) -> History:
    """Give a history in which the supposition came true just before the subject's moment."""
    known = take_snapshot(history, subject).rows.row(0, named=True)
    just_before = known["as_of"] - INSTANT
    told = {
        "amount": (known["amount"], supposition.amount),
        "expected_close_on": (known["expected_close_on"], supposition.expected_close_on),
        "stage": (known["stage"], supposition.stage),
    }
    changed = [
        (known["opportunity_id"], name, just_before, _text(old), _text(new))
        for name, (old, new) in told.items()
        if new is not None and new != old
    ]
    changes = pl.concat([history.changes, pl.DataFrame(changed, schema=CHANGE_TYPES, orient="row")])
    activities = history.activities
    if supposition.meeting_at is not None:
        meeting = {
            "opportunity_id": known["opportunity_id"],
            "known_at": just_before,
            "occurred_at": supposition.meeting_at,
            "type": meeting_type,
            "person_id": known["owner_id"],
        }
        row = pl.DataFrame([{name: meeting.get(name) for name in activities.columns}], schema=activities.schema)
        activities = pl.concat([activities, row])
    return replace(history, changes=changes.sort("changed_at", maintain_order=True), activities=activities)


def _text(value: float | date | str | None) -> str | None:
    if value is None:
        return None
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _check_stage(stages: pl.DataFrame, stage: str | None) -> None:
    ours = stages.filter(pl.col("kind") == "open")["stage"].unique(maintain_order=True).to_list()
    if stage is not None and ours and stage not in ours:
        raise InputError(f'there is no open stage "{stage}"; there are: {", ".join(ours)}')


def _meeting_type(version: Version) -> str:
    """Give the company's own word for a meeting, as far as the version has learnt one."""
    known = [name for name in version.plan.activity_types if name.lower() in MEETING_TYPES]
    return known[0] if known else MEETING_TYPES[0]
