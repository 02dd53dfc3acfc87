"""Settings from the environment, read at the edges only."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forecast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a host decides; every field is the variable FORECAST_<NAME>.

    Attributes:
        home: folder of all state: database, MLflow's store, model versions.
        database_url: a PostgreSQL server of your own (postgresql://…); empty starts the embedded one under `home`.
        mlflow_tracking_uri: where runs and versions are registered; empty keeps them under `home`.
        timezone: IANA name in which moments without a zone are read.
        language: `en` or `zh`, for reasons and messages where a caller names none.
        host: address that `forecast serve` listens on.
        port: port that `forecast serve` listens on.
    """

    home: Path = Path("var")
    database_url: str = ""
    mlflow_tracking_uri: str = ""
    timezone: str = "UTC"
    language: Literal["en", "zh"] = "en"
    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def models_folder(self) -> Path:
        """Folder of the live versions."""
        return self.home / "models"

    @property
    def tracking_uri(self) -> str:
        """MLflow's store: as set, or a database file under `home`."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from FORECAST_* variables.

    Raises:
        InputError: a value is out of its range.
    """
    given = os.environ if environment is None else environment
    port = given.get("FORECAST_PORT", "8000")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f'FORECAST_PORT is "{port}"; give a number from 1 to 65535')
    language = given.get("FORECAST_LANGUAGE", "en")
    if language not in {"en", "zh"}:
        raise InputError(f'FORECAST_LANGUAGE is "{language}"; give en or zh')
    timezone = given.get("FORECAST_TIMEZONE", "UTC")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(f'FORECAST_TIMEZONE is "{timezone}"; give an IANA name such as Asia/Shanghai') from error
    return Settings(
        home=Path(given.get("FORECAST_HOME", "var")).absolute(),
        database_url=given.get("FORECAST_DATABASE_URL", ""),
        mlflow_tracking_uri=given.get("FORECAST_MLFLOW_TRACKING_URI", ""),
        timezone=timezone,
        language="zh" if language == "zh" else "en",
        host=given.get("FORECAST_HOST", "127.0.0.1"),
        port=int(port),
    )
