"""forecast train customer_tier and forecast score customer_tier."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table

from forecast.cli.phrases import say
from forecast.cli.screen import console, moment_of, now, opened, output, transaction
from forecast.cli.training import print_warnings, told
from forecast.errors import InputError
from forecast.settings import Settings, read_settings

if TYPE_CHECKING:
    from forecast.customers import CustomerHistory
    from training.release import Release
    from training.tiers import TierRun

TIER_MODEL = "customer_tier"


def train_customer_tiers(
    settings: Settings, *, until: datetime, horizon: str | None, promote: bool, models: Path
) -> "Release[TierRun]":
    """Train customer tiers on what was known at a moment, and print what was found."""
    from training.tier_config import read_tier_experiment
    from training.tiers import train_and_register_tiers

    experiment = read_tier_experiment(models, TIER_MODEL)
    days = None if horizon is None else _days(horizon)
    with opened(settings) as engine:
        release = train_and_register_tiers(
            engine,
            settings,
            experiment,
            models=models,
            until=until,
            now=now(),
            horizon_days=days,
            promote=promote,
            step=lambda name: console.print(f"[dim]{told(name)}[/dim]") if console.is_terminal else None,
        )
    _print_figures(release.run)
    return release


def _days(text: str) -> int:
    found = re.fullmatch(r"(\d{1,4}) ?d?(ays?)?", text.strip())
    if not found or not 7 <= int(found[1]) <= 3650:
        raise InputError(f'--horizon is "{text}"; give days, such as 98d, from 7 to 3650')
    return int(found[1])


def _print_figures(run: "TierRun") -> None:
    from forecast.accounts.wording import evidence_label, evidence_sentence

    print_warnings(run.warnings)
    if run.metrics:
        output.print(_figures_table(run.metrics))
    given = run.candidate if run.promotable and run.candidate else run.prior
    language = read_settings().language
    for kind, found in given.bundle.get("evidence", {}).items():
        label, sentence = evidence_label(kind, language), evidence_sentence(kind, found, language)
        output.print(f"{label}{say(': ')}{sentence}" + ("" if found["passed"] else say("; not given")))


def _figures_table(metrics: Mapping[str, float]) -> Table:
    """Give a row to this version and to each of its yardsticks."""
    headings = ("on the newest part", "capture 20 %", "AUC", "error", "expected/actual")
    names = ("this version", "buying rate and value", "last period")
    table = Table(*map(say, headings), box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for who, name in zip(("model", "baseline", "last_period"), names, strict=True):
        measured = ("capture_20", "auc", "absolute_error", "total_ratio")
        table.add_row(say(name), *(f"{metrics[f'{who}_{figure}']:.4f}" for figure in measured))
    return table


def score_customer_tiers(settings: Settings, *, as_of: str | None, out: Path | None) -> None:
    """Score every account that had bought before a moment; into a CSV or the table of account scores."""
    from forecast.accounts.reading import read_customers
    from forecast.accounts.scoring import score_customers
    from forecast.accounts.writing import write_account_scores, write_account_scores_file
    from forecast.registry import get_live_version

    version = get_live_version(settings.models_folder, TIER_MODEL)
    moment = moment_of(as_of, settings)
    with transaction(settings) as session:
        history = read_customers(session, until=moment)
        scores = score_customers(history, version, as_of=moment)
        if out is None:
            write_account_scores(session, scores)
        else:
            write_account_scores_file(scores, out, language=settings.language)
    where = say("the table of account scores") if out is None else str(out)
    scored = say(
        "{count} accounts by {version} (basis: {basis}) into {where}",
        count=scores.height,
        version=version.version,
        basis=version.basis,
        where=where,
    )
    console.print(scored)
    _say_silence(history, moment)
    if scores.height and scores["level"][0] != "learnt":
        console.print(
            f"[yellow]{say('level not learnable:')}[/yellow] "
            + say(
                "less than a year is stored, so the season ahead was never seen; ranks and tiers stand, the total is carried on "
                "from the recent past"
            )
        )


def _say_silence(history: "CustomerHistory", moment: datetime) -> None:
    from forecast.customers import unusual_silence

    newest = unusual_silence(history, moment)
    if newest is not None:
        warned = say(
            "the newest order is of {day}, {count} days before: all customers count as silent since then; if later orders are "
            "not imported, train and score with --as-of {next}",
            day=f"{newest:%Y-%m-%d}",
            count=(moment - newest).days,
            next=f"{newest + timedelta(days=1):%Y-%m-%d}",
        )
        console.print(f"[yellow]{warned}[/yellow]")


def print_tier_accuracy(settings: Settings, *, as_of: str | None, out: Path | None) -> None:
    """Compare past scores of accounts with what they bought since; as a table, and as CSV where asked."""
    from forecast.insight.tier_accuracy import measure_tier_accuracy
    from forecast.registry import versions_until

    known_until = versions_until(settings.models_folder, TIER_MODEL)
    with transaction(settings) as session:
        found = measure_tier_accuracy(session, known_until=known_until, now=moment_of(as_of, settings))
    for row in found.iter_rows(named=True):
        output.print(
            say(
                "{count} accounts as of {day} by {version}, until {until}",
                count=row["accounts"],
                day=f"{row['as_of']:%Y-%m-%d}",
                version=row["version"],
                until=f"{row['until']:%Y-%m-%d}",
            )
        )
        headings = ("capture 20 %", "tier A", "AUC", "error", "of median", "expected/actual", "in 80 %")
        table = Table(*map(say, headings), box=SIMPLE)
        shares = (row["capture_20"], row["tier_a_share"], row["auc"])
        errors = (row["absolute_error"], row["median_absolute_error"])
        table.add_row(
            *(f"{share:.3f}" for share in shares),
            *(f"{error:,.2f}" for error in errors),
            f"{row['total_ratio']:.2f}",
            f"{row['coverage_80']:.0%}",
        )
        output.print(table)
    if out is not None:
        found.write_csv(out)
