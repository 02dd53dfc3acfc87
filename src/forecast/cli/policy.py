"""forecast policy: how scores become grades, and how accounts are followed up."""

import getpass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import say, say_moment
from forecast.cli.screen import console, output, transaction
from forecast.errors import InputError
from forecast.settings import read_settings

policy = typer.Typer(
    help="What the company decides: how scores become grades, how accounts are followed up.", no_args_is_help=True
)

Bound = Annotated[str | None, typer.Option(metavar="NUMBER|none", help="Left out: as it is.")]


@policy.command("show")
def show_policies() -> None:
    """Print the policies in force, who decided them and when."""
    from forecast.policies import list_policies

    table = _table("pipeline", "probability", "expected value", "ratings", "decided by", "at")
    with transaction(read_settings()) as session:
        for found in list_policies(session):
            table.add_row(
                escape(found.pipeline_id),
                _pair(found.probability_high, found.probability_medium),
                _pair(found.expected_value_high, found.expected_value_medium),
                _pair(found.rating_high, found.rating_low),
                escape(found.decided_by or ""),
                say_moment(found.decided_at),
            )
    output.print(table)
    output.print(
        say(
            "probability, expected value: high from, medium from; ratings: lift from, lower up to. Leads have the pipeline lead."
        )
    )


def _table(*headings: str) -> Table:
    """Begin a table whose cells are folded where they are too wide: Chinese has no spaces to break at."""
    return Table(*(Column(say(heading), overflow="fold") for heading in headings), box=SIMPLE)


def _pair(upper: float | None, lower: float | None) -> str:
    return "" if upper is None or lower is None else f"{_said(upper)}, {_said(lower)}"


def _said(bound: float) -> str:
    return f"{bound:,.0f}" if abs(bound) >= 100 else f"{bound:.4g}"


@policy.command("set")
def set_policy(
    pipeline: Annotated[str, typer.Option(help="Id of the pipeline; lead for leads.")] = "default",
    probability_high: Bound = None,
    probability_medium: Bound = None,
    expected_value_high: Bound = None,
    expected_value_medium: Bound = None,
    rating_high: Bound = None,
    rating_low: Bound = None,
) -> None:
    """Put thresholds in force for a pipeline; earlier ones are kept. The next scoring grades by them."""
    from dataclasses import replace

    from forecast.policies import DEFAULT_THRESHOLDS, decide_thresholds, find_thresholds

    given = {
        "probability_high": probability_high,
        "probability_medium": probability_medium,
        "expected_value_high": expected_value_high,
        "expected_value_medium": expected_value_medium,
        "rating_high": rating_high,
        "rating_low": rating_low,
    }
    changed: dict[str, Any] = {name: _number(name, text) for name, text in given.items() if text is not None}
    if not changed:
        raise InputError("nothing to set; give at least one threshold, such as --probability-high 0.6")
    with transaction(read_settings()) as session:
        now = find_thresholds(session, pipeline) or find_thresholds(session) or DEFAULT_THRESHOLDS
        decide_thresholds(session, replace(now, **changed), getpass.getuser(), pipeline_id=pipeline)
    console.print(say("the policy of {pipeline} is in force from the next scoring on", pipeline=pipeline), markup=False)


@policy.command("strategies")
def show_strategies() -> None:
    """Print how accounts of each tier and potential are followed up."""
    from forecast.accounts.wording import potential_label
    from forecast.policies import read_strategies

    settings = read_settings()
    table = _table("tier", "potential", "follow-up", "decided by", "at")
    with transaction(settings) as session:
        for found in read_strategies(session).values():
            table.add_row(
                found.tier,
                f"{found.potential} {potential_label(found.potential, 'zh')}"
                if settings.language == "zh"
                else found.potential,
                escape(found.text(settings.language)),
                escape(found.decided_by or ""),
                say_moment(found.decided_at),
            )
    output.print(table)


@policy.command("strategy")
def set_strategy(
    tier: Annotated[str, typer.Argument(help="A, B or C.")],
    potential: Annotated[str, typer.Argument(help="growing, steady, declining, dormant, new or prospect.")],
    en: Annotated[
        str | None, typer.Option(help="Text in English; empty: the product's own. Left out: as it is.")
    ] = None,
    zh: Annotated[str | None, typer.Option(help="Text in Chinese, likewise.")] = None,
) -> None:
    """Decide how accounts of a tier and potential are followed up; earlier texts are kept."""
    from forecast.policies import decide_strategy

    if en is None and zh is None:
        raise InputError("nothing to set; give --en or --zh")
    settings = read_settings()
    with transaction(settings) as session:
        found = decide_strategy(session, tier, potential, decided_by=getpass.getuser(), text_en=en, text_zh=zh)
    console.print(say("in force now: {text}", text=found.text(settings.language)), markup=False)


def _number(name: str, text: str) -> float | None:
    if text == "none" and not name.startswith("probability"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f'{name} is "{text}", which is no number; write 0.6, or none where it may be left out'
        ) from error
