"""Run the benchmarks: `python -m benchmarks [--only NAME…] [--quick]`."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.cross_sell import PRODUCT_SETS, judge_next_products
from benchmarks.customers import (
    CUSTOMER_SETS,
    ORDERS,
    QUICK_ORDERS,
    features_speed,
    find_customer_set,
    judge_customers,
)
from benchmarks.peers import CHEAP_PEERS, PEERS, Peer
from benchmarks.pipeline import PIPELINES, judge_pipeline
from benchmarks.quotas import judge_quotas
from benchmarks.records_speed import RECORDS_SPEED
from benchmarks.report import failures, machine_facts, markdown, show
from benchmarks.revenue import judge_cost, judge_series
from benchmarks.series_sets import SERIES_SETS, find_series_set
from benchmarks.sets import WIN_SETS, find_win_set
from benchmarks.speed import QUICK_ROWS, ROWS, SPEED
from benchmarks.win import AS_KNOWN, WALKED, judge, judge_as_known, judge_shuffled, judge_walk
from benchmarks.win_speed import WIN_SPEED

RESULTS = Path(__file__).parent / "results"
PARTS = (
    *WIN_SETS,
    "as_known",
    "shuffled",
    "walk_forward",
    *SERIES_SETS,
    "revenue_cost",
    "quotas",
    "pipelines",
    *CUSTOMER_SETS,
    *PRODUCT_SETS,
    "customer_features",
    *SPEED,
    *WIN_SPEED,
    *RECORDS_SPEED,
)
LONG_PARTS = ("shuffled", "walk_forward", "pipelines")
Part = tuple[str, str, Callable[[], Any]]
"""The kind of its results, its name, and what measures it."""

KINDS = ("sets", "shuffled", "walks", "speed", "revenue", "figures")


def main() -> int:
    """Run what was asked for, or write earlier results as Markdown; 1 where a part crashed."""
    arguments = _arguments()
    if arguments.markdown:
        print(markdown(json.loads(arguments.markdown.read_text())))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 180)
    results = _measured(arguments, console)
    show(results, console)
    console.print(f"Results: {_keep(results)}")
    return int(bool(failures(results)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"cheap peers and smaller files only; without {', '.join(LONG_PARTS)} unless --only names them",
    )
    parser.add_argument("--markdown", type=Path, metavar="RESULTS.json", help="write earlier results as Markdown")
    arguments = parser.parse_args()
    if arguments.only is None:
        arguments.only = [name for name in PARTS if not (arguments.quick and name in LONG_PARTS)]
    return arguments


def _measured(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure part by part; what is measured is kept at once, and a part that crashes stops no other."""
    folder = Path(os.environ.get("FORECAST_BENCH_DATA", "data"))
    results: dict[str, Any] = {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        **{kind: [] for kind in (*KINDS, "crashed")},
    }
    if not folder.is_dir():
        console.print(
            f"{folder} is no folder; name that of the data sets by FORECAST_BENCH_DATA, else only speed is measured"
        )
    for kind, name, measure in _parts(arguments, folder):
        console.print(f"{name} …")
        try:
            found = measure()
        except Exception:  # noqa: BLE001  # whatever it was, the other parts are to be measured
            console.print_exception()
            results["crashed"].append({"name": name, "failed": traceback.format_exc(limit=-1).strip()})
        else:
            results[kind] += found if isinstance(found, list) else [found]
        _keep(results)
    return results


def _keep(results: dict[str, Any]) -> Path:
    target = RESULTS / f"{datetime.fromisoformat(results['started_at']):%Y%m%dT%H%M%SZ}.json"
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    return target


def _parts(arguments: argparse.Namespace, folder: Path) -> Iterator[Part]:
    """Give what is asked for: win probability, speed, revenue, customers."""
    asked = set(arguments.only)
    rows, orders = (QUICK_ROWS, QUICK_ORDERS) if arguments.quick else (ROWS, ORDERS)
    yield from _win_parts(asked, folder, CHEAP_PEERS if arguments.quick else PEERS)
    for name, speed in (SPEED | WIN_SPEED | RECORDS_SPEED).items():
        if name in asked:
            yield "speed", f"speed of {name}", partial(speed, rows)
    yield from _revenue_parts(asked, folder)
    for name in CUSTOMER_SETS:
        if name in asked:
            yield "figures", name, partial(_judged, find_customer_set, name, folder, judge_customers)
    for name in PRODUCT_SETS:
        if name in asked:
            yield "figures", f"{name}, next products", partial(judge_next_products, name, folder)
    if "customer_features" in asked:
        yield "figures", "customer_features", partial(features_speed, orders)


def _win_parts(asked: AbstractSet[str], folder: Path, peers: dict[str, Peer]) -> Iterator[Part]:
    for name in WIN_SETS:
        if name in asked:
            yield "sets", name, partial(_judged, find_win_set, name, folder, partial(judge, peers=peers))
    for name in AS_KNOWN if "as_known" in asked else ():
        yield "sets", f"{name}, as known at the split", partial(_judged, find_win_set, name, folder, judge_as_known)
    for name in WIN_SETS if "shuffled" in asked else ():
        yield "shuffled", f"{name}, shuffled", partial(_judged, find_win_set, name, folder, judge_shuffled)
    for name, every in WALKED.items() if "walk_forward" in asked else ():
        yield "walks", f"{name}, trained again every {every}", partial(_judged, find_win_set, name, folder, judge_walk)


def _revenue_parts(asked: AbstractSet[str], folder: Path) -> Iterator[Part]:
    for name in SERIES_SETS:
        if name in asked:
            yield "revenue", name, partial(_judged, find_series_set, name, folder, judge_series)
    if "revenue_cost" in asked:
        yield "figures", "revenue_cost", partial(_judged, find_series_set, "m3_monthly", folder, judge_cost)
    if "quotas" in asked:
        yield (
            "figures",
            "quotas",
            partial(_judged, find_series_set, "aw_rep", folder, partial(judge_quotas, folder=folder)),
        )
    for name in PIPELINES if "pipelines" in asked else ():
        yield "figures", f"{name}, forecast from records", partial(judge_pipeline, name, folder)


def _judged(
    find: Callable[[Path, str], Any], name: str, folder: Path, judge_found: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Judge a set where the folder has it."""
    found = find(folder, name)
    return {"name": name, "absent": True} if found is None else {"name": name, **judge_found(found)}


if __name__ == "__main__":
    raise SystemExit(main())
