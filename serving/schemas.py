"""Shapes of requests and answers of the API."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from forecast.scoring.grades import Grade, Trend

ITEMS_MAX = 1000

_NUMBER = re.compile(r"\s*[+-]?[\d._]+\s*")


def _text(value: object) -> object:
    """Refuse bare numbers: whether they count seconds or milliseconds can only be guessed."""
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("a number is not a moment")
    return value


Moment = Annotated[datetime, BeforeValidator(_text)]
Day = Annotated[date, BeforeValidator(_text)]
Amount = Annotated[Decimal, Field(max_digits=18, allow_inf_nan=False)]
Rating = Annotated[int, Field(ge=1, le=5)]
Share = Annotated[float, Field(ge=0, le=1)]


class Schema(BaseModel):
    """A value of the API; an unknown field is refused, a number where text is due is taken as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Posted(Schema):
    """A value that comes in."""

    @field_validator("*")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("nul_character", "text without a NUL character")
        return value


class ActivityIn(Posted):
    """Something done or planned on the opportunity; one counts once it was entered (`created_at`, else `occurred_at`)."""

    type: str | None = None
    direction: str | None = None
    occurred_at: Moment | None = None
    created_at: Moment | None = None
    person_id: str | None = None
    contact_id: str | None = None
    duration_minutes: float | None = None


class QuoteIn(Posted):
    """An offer of a price; one counts from `created_at` on."""

    created_at: Moment | None = None
    amount: Amount | None = None
    discount_share: float | None = None


class ChangeIn(Posted):
    """One change of one field, `custom.<name>` for a custom one; values as text."""

    field: str
    changed_at: Moment
    old_value: str | None = None
    new_value: str | None = None


class OpportunityIn(Posted):
    """An open opportunity as it stands now, with its history as far as the caller has it."""

    id: Annotated[str, Field(min_length=1)]
    source_system: str = "import"
    external_id: str | None = None
    created_at: Moment | None = None
    name: str | None = None
    account_id: str | None = None
    contact_id: str | None = None
    lead_id: str | None = None
    owner_id: str | None = None
    team_id: str | None = None
    product_id: str | None = None
    campaign_id: str | None = None
    source: str | None = None
    type: str | None = None
    pipeline_id: str = "default"
    stage: str | None = None
    amount: Annotated[Amount | None, Field(description="Rounded to two decimals, as records are.")] = None
    currency: str | None = None
    expected_close_on: Day | None = None
    forecast_category: str | None = None
    seller_probability: Share | None = None
    next_step: str | None = None
    need_fit: Rating | None = None
    purchasing_power: Rating | None = None
    competition: Rating | None = None
    custom: Annotated[dict[str, Any], Field(description="Custom fields by name.")] = Field(default_factory=dict)
    activities: list[ActivityIn] = Field(default_factory=list)
    quotes: list[QuoteIn] = Field(default_factory=list)
    changes: list[ChangeIn] = Field(default_factory=list)


class LeadIn(Posted):
    """An open lead as it stands now, with its history as far as the caller has it."""

    id: Annotated[str, Field(min_length=1)]
    source_system: str = "import"
    external_id: str | None = None
    created_at: Moment | None = None
    name: str | None = None
    company: str | None = None
    title: str | None = None
    email: str | None = None
    phone: str | None = None
    industry: str | None = None
    region: str | None = None
    owner_id: str | None = None
    source: str | None = None
    campaign_id: str | None = None
    custom: Annotated[dict[str, Any], Field(description="Custom fields by name.")] = Field(default_factory=dict)
    activities: list[ActivityIn] = Field(default_factory=list)
    changes: list[ChangeIn] = Field(default_factory=list)


_EXAMPLE: dict[str, Any] = {
    "as_of": None,
    "opportunities": [
        {
            "id": "006Qy00000A1b2C",
            "created_at": "2026-08-03T09:12:00+08:00",
            "stage": "Quoted",
            "amount": "125000.00",
            "currency": "CNY",
            "account_id": "A00012",
            "owner_id": "U07",
            "source": "Referral",
            "expected_close_on": "2026-12-15",
            "need_fit": 4,
            "custom": {"budget_confirmed": True},
            "activities": [
                {"type": "call", "direction": "outbound", "occurred_at": "2026-09-01T10:00:00+08:00"},
                {"type": "meeting", "occurred_at": "2026-09-20T14:30:00+08:00", "duration_minutes": 60},
            ],
            "changes": [
                {
                    "field": "stage",
                    "changed_at": "2026-09-21T08:00:00+08:00",
                    "old_value": "Contacted",
                    "new_value": "Quoted",
                }
            ],
        }
    ],
}


class ScoreRequest(Schema):
    """Opportunities to be scored; a moment without a zone is read in FORECAST_TIMEZONE."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    as_of: Annotated[Moment | None, Field(description="Nothing known at or after it counts. Default: now.")] = None
    opportunities: Annotated[list[OpportunityIn], Field(min_length=1, max_length=ITEMS_MAX)]


class LeadScoreRequest(Schema):
    """Leads to be scored; a moment without a zone is read in FORECAST_TIMEZONE."""

    as_of: Annotated[Moment | None, Field(description="Nothing known at or after it counts. Default: now.")] = None
    leads: Annotated[list[LeadIn], Field(min_length=1, max_length=ITEMS_MAX)]


class Money(Schema):
    """An amount with its currency, where that is known."""

    amount: Decimal
    currency: str | None


class ThemePart(Schema):
    """What a theme adds to the log-odds."""

    theme: str
    label: str
    contribution: float


class Reason(Schema):
    """A theme that speaks for or against, by the feature that says most of it.

    `usual` is the median among won opportunities (`usual_of` is `stage` for those at the same stage, `stay` for how long they had stayed there, else `won`; `lead` for
    converted leads), `contribution` the theme's part of the log-odds.
    """

    theme: str
    feature: str
    sentence: str
    value: str | None
    usual: float | None
    usual_of: str | None
    contribution: float


class Interval(Schema):
    """The range that holds the true probability four times in five."""

    low: Share
    high: Share


class Score(Schema):
    """What a version of the model says, by what was known before `as_of`."""

    probability: Share
    interval: Annotated[Interval | None, Field(description="Null for scores stored before there were ranges.")]
    grade: Grade
    trend: Annotated[Trend | None, Field(description="Against the scores before; null where there are none.")]
    expected_value: Money | None
    basis: Annotated[
        str,
        Field(
            description="own: learnt from these records; pooled: likewise, but few of them are of this pipeline; prior: the share won so far."
        ),
    ]
    model_version: str
    as_of: datetime
    base: Annotated[float | None, Field(description="Log-odds before anything is known of the record.")]
    themes: Annotated[list[ThemePart], Field(description="With `base` they add up to the log-odds of the probability.")]
    reasons_for: list[Reason]
    reasons_against: list[Reason]


class Identified(Schema):
    """What has an id."""

    id: str


class ScoredRecord(Score, Identified):
    """The score of one opportunity or lead of the call; `closing` is null for leads and without a win curve."""

    closing: "Closing | None"
    warnings: list[str]


class ScoreAnswer(Schema):
    """Scores in the order of the records given."""

    scores: list[ScoredRecord]


class OpportunityRow(Schema):
    """An open opportunity in a list."""

    id: str
    name: str | None
    account_id: str | None
    account_name: str | None
    owner_id: str | None
    owner_name: str | None
    team_id: str | None
    stage: str | None
    amount: Money | None
    expected_close_on: date | None
    score: Score | None
    closing: "Closing | None"


class OpportunityPage(Schema):
    """A page of a list; `next_cursor` is missing on the last."""

    opportunities: list[OpportunityRow]
    next_cursor: str | None


class PastScore(Schema):
    """A score in the history of a record."""

    as_of: datetime
    scored_at: datetime
    probability: Share
    interval: Interval | None
    grade: Grade
    trend: Trend | None
    expected_value: Money | None
    basis: str
    model_version: str


class WonBy(Schema):
    """How probable it is that an opportunity is won by the end of a month, its last day included, in UTC."""

    month_end: date
    probability: Share


_CLOSING_EXAMPLE: dict[str, Any] = {
    "expected_close_on": "2026-12-09",
    "low": "2026-11-27",
    "high": "2027-02-18",
    "probability_of_slipping": 0.41,
    "won_by": [
        {"month_end": "2026-11-30", "probability": 0.06},
        {"month_end": "2026-12-31", "probability": 0.29},
        {"month_end": "2027-01-31", "probability": 0.38},
    ],
}


class Closing(Schema):
    """When an opportunity is expected to end, won or lost; days are those of opportunities that end within `curve_days`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CLOSING_EXAMPLE]})

    expected_close_on: Annotated[date, Field(description="By then one half of such opportunities have ended.")]
    low: Annotated[date, Field(description="By then one in ten has ended.")]
    high: Annotated[date, Field(description="By then nine in ten have ended.")]
    probability_of_slipping: Annotated[
        Share | None,
        Field(
            description="Of being open still when the opportunity's own expected close date is over; null without one."
        ),
    ]
    won_by: Annotated[
        list[WonBy],
        Field(description="The month of the score and the two that follow; never falls, never more than the score."),
    ]


class OpportunityAnswer(Schema):
    """An opportunity as stored, its latest score, when it is expected to end, and its newest scores.

    `closing` goes with `score`, as of the same moment. It is null for an opportunity that is closed or not scored yet, and
    where the version that scored it has no win curve.
    """

    opportunity: dict[str, Any]
    account_name: str | None
    owner_name: str | None
    score: Score | None
    closing: Closing | None
    score_history: list[PastScore]


class LiveModel(Schema):
    """A version that serves now."""

    name: str
    version: str
    basis: str
    since: datetime
    why: str
    metrics: dict[str, float]
    gates: list[dict[str, Any]]


class ModelsAnswer(Schema):
    """Live versions, by name."""

    models: list[LiveModel]


class Health(Schema):
    """The process is up."""

    status: Literal["ok"] = "ok"


class FieldProblem(Schema):
    """What is wrong with one field; `index` counts the call's records from 0."""

    index: int | None = None
    field: str
    found: Any
    expected: str
    remedy: str


class Problem(Schema):
    """A problem, as RFC 9457 has it; `errors` where single fields are at fault."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list)
