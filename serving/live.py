"""The live versions, kept in memory until another one goes live."""

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from forecast.errors import NotFoundError
from forecast.registry import Version, find_live, read_version, version_folder


@dataclass(frozen=True, kw_only=True)
class Live:
    """A version that serves, since when and why."""

    version: Version
    since: datetime
    why: str


class LiveModels:
    """Live versions of a models folder; `live.json` is looked at on every request, versions are read when it changed."""

    def __init__(self, models_folder: Path) -> None:
        self._folder = models_folder
        self._lock = threading.Lock()
        self._held: dict[str, tuple[tuple[int, int], Live]] = {}

    def get(self, name: str) -> Live:
        """Give the live version of a model.

        Raises:
            NotFoundError: none is live.
        """
        mark = self._mark(name)
        held = self._held.get(name)
        if held and held[0] == mark:
            return held[1]
        with self._lock:
            held = self._held.get(name)
            if held is None or held[0] != mark:
                held = (mark, self._read(name))
                self._held[name] = held
        return held[1]

    def list(self) -> "list[Live]":
        """Give the live versions of all models, by name."""
        return [self.get(path.parent.name) for path in sorted(self._folder.glob("*/live.json"))]

    def _mark(self, name: str) -> tuple[int, int]:
        """Give what changes whenever `live.json` is replaced."""
        try:
            found = (self._folder / name / "live.json").stat()
        except FileNotFoundError as error:
            raise NotFoundError(f"no version of {name} is live; run `forecast train {name}` first") from error
        return found.st_mtime_ns, found.st_ino

    def _read(self, name: str) -> Live:
        live = find_live(self._folder, name)
        if live is None:
            raise NotFoundError(f"no version of {name} is live; run `forecast train {name}` first")
        version = read_version(version_folder(self._folder, name, live["version"]))
        return Live(version=version, since=datetime.fromisoformat(live["since"]), why=live["why"])
