"""forecast compare."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import say, say_moment
from forecast.cli.screen import AsOf, moment_of, output, transaction, writable
from forecast.errors import InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from training.compare import Comparison

COMPARED = ("win_probability", "lead_conversion")
FEATURES_SHOWN = 12
_FIGURES = ("predicted", "log_loss", "brier", "auc", "calibration_error", "calibration_slope", "lift_10")


def compare(
    first: Annotated[str, typer.Argument(help="Id of a version, as `forecast models` lists it.")],
    second: Annotated[str | None, typer.Argument(help="Id of another version. Default: the live one.")] = None,
    *,
    model: Annotated[str, typer.Option(help="win_probability or lead_conversion.")] = "win_probability",
    as_of: AsOf = None,
    out: Annotated[
        Path | None, typer.Option(callback=writable, help="Write all figures and differences as CSV.")
    ] = None,
) -> None:
    """Compare two versions on the same newest records, which neither has learnt from: losses, ranking, calibration, recipe."""
    from forecast.history import read_history
    from forecast.population import population_of
    from forecast.registry import get_live_version, read_version, version_folder
    from training.compare import compare_versions

    if model not in COMPARED:
        raise InputError(f'--model is "{model}"; versions of win_probability and lead_conversion can be compared')
    settings = read_settings()
    folder, until = settings.models_folder, moment_of(as_of, settings)
    one = read_version(version_folder(folder, model, first))
    other = read_version(version_folder(folder, model, second)) if second else get_live_version(folder, model)
    if one.version == other.version:
        raise InputError(f"{one.version} would be compared with itself; name two versions that `forecast models` lists")
    with transaction(settings) as session:
        history = read_history(session, population=population_of(one.bundle["config"]), until=until)
    found = compare_versions(history, one, other, until=until)
    _print(found, (one.version, other.version))
    if out is not None:
        _write(found, (one.version, other.version), out)


def _print(found: "Comparison", names: tuple[str, str]) -> None:
    output.print(
        say(
            "{rows} rows of {count} records since {since}, with outcomes that neither version knew",
            rows=f"{found.figures[0]['rows']:,.0f}",
            count=f"{found.opportunities:,}",
            since=say_moment(found.since),
        )
    )
    output.print(_figures_table(found, names))
    for difference in found.differences:
        output.print(
            say(
                "{loss}: {first} less {second} {mean} (standard error {error}); the first is better in {chance} of bootstrap draws",
                loss=say({"log_loss": "log loss", "brier": "Brier"}[difference.loss]),
                first=names[0],
                second=names[1],
                mean=f"{difference.mean:+.4f}",
                error=f"{difference.error:.4f}",
                chance=f"{difference.chance:.1%}",
            )
        )
    for name, features in zip(names, found.features, strict=True):
        if features:
            _print_features(name, sorted(features))
    for name, (one, other) in found.parameters.items():
        output.print(f"{escape(name)}{say(': ')}{_value(one)} / {_value(other)}")


def _figures_table(found: "Comparison", names: tuple[str, str]) -> Table:
    """Give a row a figure and a column a version, so that ids are whole in 80 columns."""
    headings = ("predicted", "log loss", "Brier", "AUC", "ECE", "slope", "lift 10 %")
    table = Table("", *(Column(name, no_wrap=True) for name in names), box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_row(say("won"), *(f"{figures['won_share']:.1%}" for figures in found.figures))
    for heading, figure in zip(headings, _FIGURES, strict=True):
        layout = ".1%" if figure == "predicted" else ".4f"
        table.add_row(say(heading), *(format(figures[figure], layout) for figures in found.figures))
    return table


def _print_features(version: str, features: list[str]) -> None:
    shown = escape(say(", ").join(features[:FEATURES_SHOWN]))
    more = len(features) - FEATURES_SHOWN
    tail = say("; {count} more in --out", count=more) if more > 0 else ""
    output.print(say("only {version} uses: {features}{tail}", version=version, features=shown, tail=tail))


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(say("none") if value is None else value))


def _write(found: "Comparison", names: tuple[str, str], out: Path) -> None:
    import polars as pl

    rows: list[Mapping[str, object]] = []
    first, second = found.figures
    rows += [{"kind": "figure", "name": name, "first": str(first[name]), "second": str(second[name])} for name in first]
    for part in found.differences:
        for name in ("mean", "error", "chance"):
            rows.append({"kind": "difference", "name": f"{part.loss}_{name}", "first": str(getattr(part, name))})
    rows += [{"kind": "feature", "name": name, "first": "used"} for name in sorted(found.features[0])]
    rows += [{"kind": "feature", "name": name, "second": "used"} for name in sorted(found.features[1])]
    for name, (one, other) in found.parameters.items():
        rows.append({"kind": "parameter", "name": name, "first": str(one), "second": str(other)})
    versions = {"kind": "version", "name": "version", "first": names[0], "second": names[1]}
    columns = dict.fromkeys(("kind", "name", "first", "second"), pl.String)
    pl.DataFrame([versions, *rows], schema=columns).write_csv(out)
