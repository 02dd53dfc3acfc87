"""Model versions on this host: folders of text and JSON, and which one is live."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol

from typing_extensions import TypeVar

from forecast.errors import ConflictError, NotFoundError
from forecast.estimators.revenue import RevenueModel
from forecast.estimators.value import ValueModel
from forecast.estimators.win import PriorModel, WinModel
from forecast.features import FeaturePlan

BUNDLE_FILE = "bundle.json"
CARD_FILE = "card.md"
FORMAT = 3
PRIOR_SUFFIX = "-prior"
"""What the id of a version ends with that stands in for one that failed its gates."""


class Estimator(Protocol):
    """What predicts: it can be written as JSON values and text files, and says by its kind who reads them."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Give all but the text files as JSON values."""

    def texts(self) -> dict[str, str]:
        """Give what is long, such as trees, as text by name of file; each name ends in .txt."""


E_co = TypeVar("E_co", bound=Estimator, covariant=True, default=WinModel | PriorModel)

_READERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], Estimator]] = {
    WinModel.kind: WinModel.from_json,
    PriorModel.kind: PriorModel.from_json,
    ValueModel.kind: ValueModel.from_json,
    RevenueModel.kind: RevenueModel.from_json,
}


@dataclass(frozen=True, kw_only=True)
class Version(Generic[E_co]):
    """A model version, ready to score; of the win model unless another estimator is named.

    Attributes:
        name: of the model, such as win_probability.
        version: its id, sortable by time of training.
        basis: `own` where learnt from this company's records, `prior` where the share won so far is served.
        estimator: what predicts.
        plan: the features of opportunities or leads that it needs.
        usual: for each numeric feature its median among won opportunities, for reasons.
        bundle: everything else that was written down in training.
    """

    name: str
    version: str
    basis: str
    estimator: E_co
    plan: FeaturePlan = field(default_factory=FeaturePlan)
    usual: Mapping[str, float] = field(default_factory=dict)
    bundle: Mapping[str, Any]


def write_version(models_folder: Path, version: Version[Estimator], card: str) -> Path:
    """Write a version into its folder, whole or not at all.

    Raises:
        ConflictError: there is a version of that id already.
    """
    target = models_folder / version.name / "versions" / version.version
    if target.exists():
        raise ConflictError(f"version {version.version} of {version.name} exists already in {target}; train again")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=target.parent))
    try:
        write_version_files(draft, version, card)
        draft.chmod(0o755)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft)
        raise
    return target


def write_version_files(folder: Path, version: Version[Estimator], card: str) -> None:
    """Write the files of a version: bundle, card and the estimator's texts."""
    for name, text in version.estimator.texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    bundle = {
        "format": FORMAT,
        "name": version.name,
        "version": version.version,
        "basis": version.basis,
        "estimator": {"kind": version.estimator.kind, **version.estimator.to_json()},
        "plan": version.plan.to_json(),
        "usual": dict(version.usual),
        **version.bundle,
    }
    (folder / BUNDLE_FILE).write_text(
        json.dumps(bundle, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8"
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


def read_version(folder: Path) -> Version[Any]:
    """Read a version from its folder.

    Raises:
        NotFoundError: the folder holds no version.
        ConflictError: it was written in a format this program does not know.
    """
    try:
        bundle = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"no model version in {folder}; see `forecast models`") from error
    fitted = bundle.pop("estimator", {})
    if bundle.pop("format", None) != FORMAT or fitted.get("kind") not in _READERS:
        raise ConflictError(f"{folder} was written by another version of forecast; train again or upgrade")
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}
    return Version(
        name=bundle.pop("name"),
        version=bundle.pop("version"),
        basis=bundle.pop("basis"),
        estimator=_READERS[fitted.pop("kind")](fitted, texts),
        plan=FeaturePlan.from_json(bundle.pop("plan")),
        usual=bundle.pop("usual"),
        bundle=bundle,
    )


def list_versions(models_folder: Path, name: str) -> list[str]:
    """List the ids of a model's versions, oldest first."""
    folder = models_folder / name / "versions"
    return sorted(path.name for path in folder.glob("[!.]*")) if folder.exists() else []


def versions_until(models_folder: Path, name: str) -> dict[str, datetime]:
    """Give the moment up to which each version of a model knew the world, by its id."""
    folder = models_folder / name / "versions"
    return {
        version: datetime.fromisoformat(
            json.loads((folder / version / BUNDLE_FILE).read_text(encoding="utf-8"))["until"]
        )
        for version in list_versions(models_folder, name)
    }


def version_folder(models_folder: Path, name: str, version: str) -> Path:
    """Find the folder of a version.

    Raises:
        NotFoundError: there is none.
    """
    versions = list_versions(models_folder, name)
    if version not in versions:
        listed = ", ".join(versions) or "none"
        raise NotFoundError(f'{name} has no version "{version}" on this host; there are: {listed}')
    return models_folder / name / "versions" / version


def find_live(models_folder: Path, name: str) -> dict[str, Any] | None:
    """Read which version is live, since when and why; None where none is."""
    try:
        live: dict[str, Any] = json.loads((models_folder / name / "live.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return live


def get_live_version(models_folder: Path, name: str) -> Version[Any]:
    """Read the live version.

    Raises:
        NotFoundError: none is live.
    """
    live = find_live(models_folder, name)
    if live is None:
        raise NotFoundError(f"no version of {name} is live; run `forecast train {name}` first")
    return read_version(version_folder(models_folder, name, live["version"]))


@contextmanager
def hold_live(models_folder: Path) -> Iterator[None]:
    """Let no other process change which versions are live meanwhile; one that wants to waits."""
    models_folder.mkdir(parents=True, exist_ok=True)
    with models_folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go as the file is closed, also by a process that dies
        yield


def make_live(models_folder: Path, name: str, version: str, *, since: datetime, why: str) -> None:
    """Serve this version from now on; what was live before is remembered for `roll_back`."""
    version_folder(models_folder, name, version)
    live = find_live(models_folder, name)
    if live and live["version"] == version:
        return
    before = [{key: live[key] for key in ("version", "since", "why")}, *live["before"]] if live else []
    _write_live(models_folder / name, {"version": version, "since": since.isoformat(), "why": why, "before": before})


def roll_back(models_folder: Path, name: str, *, since: datetime) -> str:
    """Serve the version that was live before; give its id.

    Raises:
        ConflictError: none was.
    """
    live = find_live(models_folder, name)
    if live is None or not live["before"]:
        raise ConflictError(f"{name} has no earlier live version to go back to")
    earlier, *rest = live["before"]
    why = f"rolled back from {live['version']}"
    _write_live(
        models_folder / name,
        {"version": earlier["version"], "since": since.isoformat(), "why": why, "before": rest},
    )
    return str(earlier["version"])


def _write_live(folder: Path, live: Mapping[str, Any]) -> None:
    handle, draft = tempfile.mkstemp(prefix=".live-", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(live, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).chmod(0o644)
    Path(draft).replace(folder / "live.json")
