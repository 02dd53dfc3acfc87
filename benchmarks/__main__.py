"""Run the benchmarks: `python -m benchmarks [--only NAME…] [--quick]`."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.customers import (
    CUSTOMER_SETS,
    ORDERS,
    QUICK_ORDERS,
    features_speed,
    find_customer_set,
    judge_customers,
)
from benchmarks.peers import CHEAP_PEERS, PEERS
from benchmarks.pipeline import PIPELINES, judge_pipeline
from benchmarks.quotas import judge_quotas
from benchmarks.report import failures, machine_facts, markdown, show
from benchmarks.revenue import judge_cost, judge_series
from benchmarks.series_sets import SERIES_SETS, find_series_set
from benchmarks.sets import WIN_SETS, find_win_set
from benchmarks.speed import QUICK_ROWS, ROWS, SPEED
from benchmarks.win import WALKED, judge, judge_shuffled, judge_walk
from benchmarks.win_speed import WIN_SPEED

RESULTS = Path(__file__).parent / "results"
PARTS = (
    *WIN_SETS,
    "shuffled",
    "walk_forward",
    *SERIES_SETS,
    "revenue_cost",
    "quotas",
    "pipelines",
    *CUSTOMER_SETS,
    "customer_features",
    *SPEED,
    *WIN_SPEED,
)


def main() -> int:
    """Run what was asked for, or write earlier results as Markdown."""
    arguments = _arguments()
    if arguments.markdown:
        print(markdown(json.loads(arguments.markdown.read_text())))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 180)
    results = _measured(arguments, console)
    target = RESULTS / f"{datetime.fromisoformat(results['started_at']):%Y%m%dT%H%M%SZ}.json"
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    show(results, console)
    console.print(f"Results: {target}")
    return int(bool(failures(results)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="cheap peers and smaller files only")
    parser.add_argument("--markdown", type=Path, metavar="RESULTS.json", help="write earlier results as Markdown")
    return parser.parse_args()


def _measured(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    asked = arguments.only
    peers = CHEAP_PEERS if arguments.quick else PEERS
    folder = Path(os.environ.get("FORECAST_BENCH_DATA", "data"))
    results: dict[str, Any] = {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "sets": [],
        "shuffled": [],
        "speed": [],
    }
    for name in (name for name in WIN_SETS if name in asked):
        console.print(f"{name} …")
        win_set = find_win_set(folder, name)
        results["sets"].append({"name": name, "absent": True} if win_set is None else judge(win_set, peers))
    for name in WIN_SETS if "shuffled" in asked else ():
        console.print(f"{name}, shuffled …")
        win_set = find_win_set(folder, name)
        results["shuffled"].append({"name": name, "absent": True} if win_set is None else judge_shuffled(win_set))
    results["walks"] = []
    for name in WALKED if "walk_forward" in asked else ():
        console.print(f"{name}, trained again every {WALKED[name]} …")
        win_set = find_win_set(folder, name)
        results["walks"].append({"name": name, "absent": True} if win_set is None else judge_walk(win_set))
    for name in (name for name in SPEED if name in asked):
        console.print(f"speed of {name} …")
        results["speed"] += SPEED[name](QUICK_ROWS if arguments.quick else ROWS)
    for name in (name for name in WIN_SPEED if name in asked):
        console.print(f"speed of {name} …")
        results["speed"] += WIN_SPEED[name](QUICK_ROWS if arguments.quick else ROWS)
    _measure_revenue(asked, folder, results, console)
    _measure_customers(arguments, folder, results, console)
    return results


def _measure_customers(arguments: argparse.Namespace, folder: Path, results: dict[str, Any], console: Console) -> None:
    results["customers"] = []
    for name in (name for name in CUSTOMER_SETS if name in arguments.only):
        console.print(f"{name} …")
        customer_set = find_customer_set(folder, name)
        found = {"name": name, "absent": True} if customer_set is None else judge_customers(customer_set)
        results["customers"].append(found)
        console.print_json(data=found)
    if "customer_features" in arguments.only:
        results["customer_features"] = features_speed(QUICK_ORDERS if arguments.quick else ORDERS)
        console.print_json(data=results["customer_features"])


def _measure_revenue(asked: list[str], folder: Path, results: dict[str, Any], console: Console) -> None:
    results["revenue"] = []
    for name in (name for name in SERIES_SETS if name in asked):
        console.print(f"{name} …")
        series_set = find_series_set(folder, name)
        results["revenue"].append({"name": name, "absent": True} if series_set is None else judge_series(series_set))
    monthly = find_series_set(folder, "m3_monthly") if "revenue_cost" in asked else None
    if monthly is not None:
        results["revenue_cost"] = judge_cost(monthly)
    reps = find_series_set(folder, "aw_rep") if "quotas" in asked else None
    if reps is not None:
        results["quotas"] = judge_quotas(reps, folder)
    results["pipelines"] = []
    for name in PIPELINES if "pipelines" in asked else ():
        console.print(f"{name}, forecast from records …")
        results["pipelines"].append(judge_pipeline(name, folder))
        console.print_json(data=results["pipelines"][-1])


if __name__ == "__main__":
    raise SystemExit(main())
