"""forecast segments: the market by industry, region, size or channel."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from forecast.cli.phrases import say, short_money
from forecast.cli.screen import console, output, transaction, writable
from forecast.errors import InputError, TooLittleHistoryError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.insight.segments import Segment, SegmentKey


def segments(
    by: Annotated[str, typer.Option(help="industry, region, size or channel.")] = "industry",
    out: Annotated[Path | None, typer.Option(callback=writable, help="Write a CSV too.")] = None,
) -> None:
    """Show revenue, growth, tiers and concentration by segment, as of the newest scoring of customer_tier."""
    from forecast.insight.segments import read_segment_accounts, whole_market
    from forecast.insight.segments import segments as profile

    settings = read_settings()
    with transaction(settings) as session:
        accounts = read_segment_accounts(session)
    if accounts.is_empty():
        raise TooLittleHistoryError("no account is scored yet; run `forecast score customer_tier` first")
    found = profile(accounts, _key(by))
    _print(found, whole_market(accounts), by, settings.language)
    if out is not None:
        _write(found, by, out)


def _print(found: "list[Segment]", market: "Segment", by: str, language: str) -> None:
    from forecast.accounts.wording import difference_sentence

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for name in (by, "accounts", "past year", "growth", "expected", "A/B/C", "top 10", "Gini"):
        table.add_column(say(name), no_wrap=name != by, justify="left" if name == by else "right")
    for one in [*found, market]:
        name = say("all") if one is market else one.name or say("unknown")
        table.add_row(
            escape(name),
            str(one.accounts),
            short_money(one.revenue),
            "" if one.growth is None else f"{one.growth:+.0%}",
            short_money(one.expected_revenue),
            "/".join(str(count) for count in one.tiers.values()),
            f"{one.top_share:.0%}",
            f"{one.gini:.2f}",
        )
    output.print(table)
    for one in found:
        said = say("; ").join(difference_sentence(difference, language) for difference in one.differences)
        if said:
            output.print(f"{escape(one.name or say('unknown'))}{say(': ')}{said}")


def _write(found: "list[Segment]", by: str, out: Path) -> None:
    import polars as pl

    kept = ("accounts", "revenue", "revenue_before", "growth", "revenue_share", "expected_revenue")
    rows = [
        {by: one.name, **{name: getattr(one, name) for name in kept}}
        | {f"tier_{tier}": count for tier, count in one.tiers.items()}
        | {"top_10_share": one.top_share, "gini": one.gini, "herfindahl": one.herfindahl}
        for one in found
    ]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(out)
    console.print(say("{count} segments into {path}", count=len(rows), path=out))


def _key(text: str) -> "SegmentKey":
    from forecast.insight.segments import SEGMENT_KEYS

    for key in SEGMENT_KEYS:
        if text == key:
            return key
    raise InputError(f'--by is "{text}"; give {", ".join(SEGMENT_KEYS)}')
