"""GET /v1/forecast/accuracy: how right kept forecasts were, and whose announcements come true."""

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from forecast.errors import TooLittleHistoryError
from forecast.registry import versions_until
from forecast.runs.accuracy import measure_forecasts
from forecast.runs.habits import Verdict, judge_habits
from forecast.wording import say_remark, say_remarks
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.schemas import Schema, Share

REVENUE_MODEL = "revenue_forecast"

router = APIRouter()


class HorizonOut(Schema):
    """How right forecasts of one level were so many months ahead, 0 being the month in which they were made.

    Errors and bias are shares of what landed, and null where nothing did; `wape_pipeline` is that of the weighted pipeline,
    `wape_naive` of the same month of last year. Coverage is the share of cells within their range.
    """

    level: str
    horizon: int
    runs: int
    cells: Annotated[int, Field(description="Units and months that were judged.")]
    wape: float | None
    wape_pipeline: float | None
    wape_naive: float | None
    bias: float | None
    coverage_50: Share
    coverage_80: Share
    coverage_95: Share


class HabitOut(Schema):
    """How a person's announcements came true, beside those of all others.

    `announced` counts deals said to be won within a month, by category or close date; `won` those won that were open when
    their month began.
    """

    person_id: str
    name: str | None
    announced: int
    kept_share: Share | None
    kept_usual: Share | None
    won: int
    unannounced_share: Share | None
    unannounced_usual: Share | None
    verdict: Verdict


class ForecastAccuracyAnswer(Schema):
    """Accuracy of kept forecasts by level and horizon, and habits of persons since a day; `remarks` say what is missing."""

    runs: int
    hindsight: Annotated[int, Field(description="Forecasts left out, as their version knew what came.")]
    horizons: list[HorizonOut]
    since: date
    people: list[HabitOut]
    remarks: list[str]


@router.get("/v1/forecast/accuracy", summary="Hold kept forecasts against what landed")
def read_forecast_accuracy(session: SessionDep, desk: DeskDep, language: LanguageDep) -> ForecastAccuracyAnswer:
    """Judge kept forecasts by the months that are over, and persons by what they announced in the past year.

    All opportunities and orders are read, which takes seconds where there are a hundred thousand.
    """
    now, timezone = desk.clock(), desk.settings.timezone
    habits = judge_habits(session, now=now, timezone=timezone)
    until = versions_until(desk.settings.models_folder, REVENUE_MODEL)
    people = [HabitOut(**asdict(habit)) for habit in habits.people]
    remarks = say_remarks(habits.remarks, language)
    try:
        found = measure_forecasts(session, now=now, timezone=timezone, known_until=until)
    except TooLittleHistoryError as error:
        remarks.append(say_remark(str(error), language))
        return ForecastAccuracyAnswer(
            runs=0, hindsight=0, horizons=[], since=habits.since, people=people, remarks=remarks
        )
    return ForecastAccuracyAnswer(
        runs=found.runs,
        hindsight=found.hindsight,
        horizons=[HorizonOut(**asdict(row)) for row in found.horizons],
        since=habits.since,
        people=people,
        remarks=[*say_remarks(found.remarks, language), *remarks],
    )
