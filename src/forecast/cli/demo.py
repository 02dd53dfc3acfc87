"""forecast demo."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from forecast.cli.desk import serve
from forecast.cli.importing import import_files
from forecast.cli.models import train
from forecast.cli.phrases import say
from forecast.cli.scoring import score
from forecast.cli.screen import Models, console, now, transaction
from forecast.settings import Settings, read_settings

DEMO_SEED = 20240229
DEMO_REGULARS = 400
DEMO_TRIALS = 15
DEMO_LEAD_TRIALS = 5
DEMO_REVENUE_TRIALS = 6
DEMO_HORIZON = "180d"
DEMO_KEY_FILE = "demo-key.txt"


def demo(
    serve_after: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the API at the end.")] = True,
    models: Models = Path("models"),
) -> None:
    """Show everything on a simulated company: import, train, score, serve; run again, it continues."""
    from forecast.cli.revenue import outlook_of_records
    from forecast.registry import find_live

    settings = read_settings()
    export = settings.home / "demo-export"
    if not export.exists():
        _say(say("simulating three years of a company"), say("its CRM export goes to {folder}", folder=export))
        _write_demo_export(export)
    if not (settings.home / "demo-imported").exists():
        _say(f"forecast import {export}", say("the export becomes records"))
        import_files([export])
        (settings.home / "demo-imported").touch()
    if find_live(settings.models_folder, "win_probability") is None:
        _say(f"forecast train win_probability --trials {DEMO_TRIALS}", say("learn what wins, judge it, serve it"))
        train(trials=DEMO_TRIALS, models=models)
    if find_live(settings.models_folder, "lead_conversion") is None:
        _say(
            f"forecast train lead_conversion --trials {DEMO_LEAD_TRIALS}",
            say("the same for leads: which become opportunities"),
        )
        train("lead_conversion", trials=DEMO_LEAD_TRIALS, models=models)
    if find_live(settings.models_folder, "customer_tier") is None:
        _say(
            f"forecast train customer_tier --horizon {DEMO_HORIZON}", say("what customers will buy, from their orders")
        )
        train("customer_tier", horizon=DEMO_HORIZON, models=models)
    if find_live(settings.models_folder, "revenue_forecast") is None:
        _say(
            f"forecast train revenue_forecast --trials {DEMO_REVENUE_TRIALS}",
            say("what months will bring, tried on the past"),
        )
        train("revenue_forecast", trials=DEMO_REVENUE_TRIALS, models=models)
    _say("forecast score", say("every open opportunity gets a probability, a grade and reasons"))
    score()
    _say("forecast score lead_conversion", say("every open lead too"))
    score("lead_conversion")
    _say("forecast score customer_tier", say("every customer gets a value, a tier and a potential"))
    score("customer_tier")
    _say("forecast outlook --unit company", say("revenue by month, with ranges that hold"))
    outlook_of_records(settings, horizon=None, unit="company", currency=None, as_of=None, out=None, draws=None)
    key = _demo_key(settings)
    _say(say("done"), say("the key of the API is {key} (kept in {file})", key=key, file=settings.home / DEMO_KEY_FILE))
    address = f"http://{settings.host}:{settings.port}"
    lines = {
        f"{address}/docs": say("try the API: Authorize with the key"),
        f"curl -H 'X-API-Key: {key}' '{address}/v1/opportunities?grade=high&limit=3'": "",
        f"mlflow ui --backend-store-uri {settings.tracking_uri}": say("runs, figures, versions"),
        "forecast models": say("which version is live, and its gates"),
    }
    for line, meaning in lines.items():
        console.print(f"  {line:<39}  {meaning}".rstrip(), markup=False)
    if serve_after:
        _say("forecast serve", say("{address}, until Ctrl+C", address=address))
        serve()


def _say(command: str, meaning: str) -> None:
    console.print(f"[bold]{escape(command)}[/bold]{say(': ')}{escape(meaning)}")


def _write_demo_export(folder: Path) -> None:
    from forecast.demo import simulate_company, write_export

    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    draft = folder.with_suffix(".draft")
    write_export(simulate_company(DEMO_SEED, today, regulars=DEMO_REGULARS), draft)
    draft.rename(folder)


def _demo_key(settings: Settings) -> str:
    from serving.auth import create_key

    file = settings.home / DEMO_KEY_FILE
    if not file.exists():
        with transaction(settings) as session:
            secret = create_key(session, "demo")
        file.touch(mode=0o600)
        file.write_text(secret, encoding="utf-8")
    return file.read_text(encoding="utf-8")
