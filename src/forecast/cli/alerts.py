"""forecast alerts: which accounts to call, and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from forecast.cli.phrases import say, short_money
from forecast.cli.screen import console, output, transaction
from forecast.cli.tiers import TIER_MODEL
from forecast.errors import InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.accounts.alerts import AlertKind
    from forecast.accounts.tiers import Tier
    from forecast.wording import Language


def alerts(
    kind: Annotated[str | None, typer.Option(help="churn_risk, dormant_again or overdue; all where left out.")] = None,
    tier: Annotated[str | None, typer.Option(help="A, B or C.")] = None,
    owner: Annotated[str | None, typer.Option(help="Id of the person whose accounts they are.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 20,
) -> None:
    """List accounts to call, the most valuable first, as of the newest scoring of customer_tier."""
    from forecast.accounts.call_list import check_owner, list_alerts
    from forecast.accounts.wording import alert_sentence
    from forecast.policies import read_strategies
    from forecast.registry import get_live_version

    settings = read_settings()
    evidence = get_live_version(settings.models_folder, TIER_MODEL).bundle.get("evidence", {})
    with transaction(settings) as session:
        if owner is not None:
            check_owner(session, owner)
        found = list_alerts(session, kind=_kind(kind), tier=_tier(tier), owner_id=owner, limit=limit)
        strategies = read_strategies(session)
        for score, account in found:
            name = account.name if account and account.name else score.account_id
            why = (alert_sentence(alert, settings.language) for alert in score.alerts)
            what_to_do = strategies[score.tier, score.potential].text(settings.language)
            expected = short_money(score.expected_revenue)
            told = say("tier {tier}, expected revenue {amount}", tier=score.tier, amount=expected)
            output.print(f"[bold]{escape(name)}[/bold]{say(': ')}{told}")
            output.print(Padding(Text("\n".join([*why, what_to_do]), overflow="fold"), (0, 0, 0, 2)))
    if not found:
        output.print(say("no account has such an alert"))
    _say_what_is_absent(evidence, settings.language)


def _say_what_is_absent(evidence: Mapping[str, Mapping[str, Any]], language: "Language") -> None:
    from forecast.accounts.alerts import ALERT_KINDS
    from forecast.accounts.wording import absent_sentence, why_absent

    for kind in ALERT_KINDS:
        why = why_absent(evidence, kind, language)
        if why:
            console.print(f"[dim]{escape(absent_sentence(kind, why, language))}[/dim]")


def _kind(text: str | None) -> "AlertKind | None":
    from forecast.accounts.alerts import ALERT_KINDS

    for kind in ALERT_KINDS:
        if text == kind:
            return kind
    if text is None:
        return None
    raise InputError(f'--kind is "{text}"; give {", ".join(ALERT_KINDS)}')


def _tier(text: str | None) -> "Tier | None":
    from forecast.accounts.tiers import Tier

    for tier in get_args(Tier):
        if text == tier:
            return tier  # type: ignore[no-any-return]
    if text is None:
        return None
    raise InputError(f'--tier is "{text}"; give A, B or C')
