"""GET /v1/segments: the market by industry, region, size or channel."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from forecast.accounts.wording import difference_sentence
from forecast.insight.segments import Segment, SegmentKey, read_segment_accounts, segments, whole_market
from serving.deps import LanguageDep, SessionDep
from serving.schemas import Schema

router = APIRouter()


class DifferenceOut(Schema):
    """A figure in which the segment's accounts differ from all others, in means an account."""

    figure: str
    value: float
    others: float
    t: float
    sentence: str


class SegmentOut(Schema):
    """Accounts of one segment; `name` is missing where it is not known.

    Revenue is that of the year before the newest scores, `growth` against the year before (missing unless both are known),
    `expected_revenue` that of the horizon. `top_share` is what the ten largest accounts carry; `gini` and `herfindahl`
    measure concentration from 0.
    """

    name: str | None
    accounts: int
    revenue: float
    revenue_before: float
    growth: float | None
    revenue_share: float
    expected_revenue: float
    tiers: dict[str, int]
    top_share: float
    gini: float
    herfindahl: float
    differences: list[DifferenceOut]


class SegmentsAnswer(Schema):
    """Segments, the one of most revenue first, and all accounts together."""

    by: SegmentKey
    segments: list[SegmentOut]
    market: SegmentOut


@router.get("/v1/segments", summary="Profile the market by segment")
def list_segments(
    session: SessionDep,
    language: LanguageDep,
    by: Annotated[SegmentKey, Query(description="What accounts are grouped by.", examples=["industry"])] = "industry",
) -> SegmentsAnswer:
    """Give revenue, growth, tiers, concentration and what sets each segment apart, of scored accounts."""
    accounts = read_segment_accounts(session)
    found = [_out(one, language) for one in segments(accounts, by)]
    return SegmentsAnswer(by=by, segments=found, market=_out(whole_market(accounts), language))


def _out(found: Segment, language: str) -> SegmentOut:
    said = [{**asdict(one), "sentence": difference_sentence(one, language)} for one in found.differences]
    return SegmentOut(**(asdict(found) | {"differences": said}))
