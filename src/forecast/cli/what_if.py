"""forecast what-if."""

from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from forecast.cli.phrases import say
from forecast.cli.screen import AsOf, moment_of, output, transaction
from forecast.errors import InputError
from forecast.moments import read_moment
from forecast.settings import read_settings


def what_if(
    opportunity_id: Annotated[str, typer.Argument(metavar="ID", help="Id of an open opportunity.")],
    amount: Annotated[float | None, typer.Option(help="Amount.")] = None,
    close_date: Annotated[str | None, typer.Option(help="Expected close date (ISO).")] = None,
    stage: Annotated[str | None, typer.Option(help="Stage.")] = None,
    meeting: Annotated[str | None, typer.Option(help="Date or moment (ISO) of a meeting, planned or held.")] = None,
    as_of: AsOf = None,
) -> None:
    """Say what the model would say if the amount, close date, stage or a meeting were different: association, not cause."""
    from forecast.history import read_history
    from forecast.policies import read_policies
    from forecast.registry import get_live_version
    from forecast.scoring import what_if as supposing
    from forecast.scoring.reasons import REASON_LOG_ODDS_MIN
    from forecast.wording import moved_sentence, warning_sentence

    settings = read_settings()
    language = settings.language
    moment = moment_of(as_of, settings)
    supposition = supposing.Supposition(
        amount=amount,
        expected_close_on=read_moment(close_date, "UTC").date() if close_date else None,
        stage=stage,
        meeting_at=read_moment(meeting, settings.timezone) if meeting else None,
    )
    version = get_live_version(settings.models_folder, "win_probability")
    if version.basis == "prior":
        raise InputError(
            "the share won so far is served, whatever an opportunity is; train a version of your own first"
        )
    with transaction(settings) as session:
        history = read_history(session, until=moment)
        found = supposing.what_if(
            history, version, opportunity_id, supposition, as_of=moment, policies=read_policies(session)
        )
    table = Table("", say("as it stands"), say("as supposed"), box=SIMPLE)
    rows = (found.before, found.after)
    table.add_row(say("probability"), *(f"{row['probability']:.1%}" for row in rows))
    table.add_row(say("grade"), *(say(row["grade"]) for row in rows))
    values = (row["expected_value"] for row in rows)
    table.add_row(say("expected value"), *("" if value is None else f"{value:,.0f}" for value in values))
    output.print(table)
    for theme, moved in found.moved.items():
        if abs(moved) < REASON_LOG_ODDS_MIN:
            continue
        output.print(escape(moved_sentence(theme, moved, language)))
    output.print(escape(warning_sentence("association", language)))
