"""Set the level of a version anew between trainings, from the outcomes known since."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from scipy.special import expit, logit

from forecast.errors import InputError
from forecast.metrics import Floats
from forecast.registry import PRIOR_SUFFIX, Version
from forecast.snapshot import History
from training.config import Experiment
from training.dataset import Dataset, Lesson, sample_dataset
from training.fit import LEVEL_ROWS_ENOUGH
from training.folds import count_rarer
from training.gates import LIVE_GATE, Gate, Outcomes, measure, no_step_back, verdict
from training.levels import Level, follow_level, weeks_before

OUTCOMES_MIN = 20
SURELY = 2.5
"""Standard errors by which a level must be off: it is looked at again and again."""
SINCE = "recalibrated"
"""In the bundle of a version whose level was set anew: what it was trained as, and by how much it was shifted since."""


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """What looking for a new level found.

    Attributes:
        live: the version whose level was looked at.
        verdict: a sentence: promoted, not promoted and why, or nothing changed and why.
        dataset: rows that were looked at.
        level: what the live version's log-odds lack.
        candidate: the live version at its new level; None where nothing changes.
        gates: of the candidate.
        metrics: of both levels on the newest outcomes.
    """

    live: Version
    verdict: str
    dataset: Dataset
    level: Level = field(default_factory=Level)
    candidate: Version | None = None
    gates: list[Gate] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def promotable(self) -> bool:
        """Whether there is a new level, and it passed every gate."""
        return self.candidate is not None and all(gate.passed for gate in self.gates)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The training that a live version comes from.

    Attributes:
        version: its id.
        until: what it knew.
        raised: by how much the level was raised since, in log-odds.
    """

    version: str
    until: datetime
    raised: float


def origin_of(version: Version) -> Origin:
    """Tell which training a version comes from; itself where its level was never set anew."""
    found = version.bundle.get(SINCE, {"version": version.version, "until": version.bundle["until"], "raised": 0.0})
    return Origin(version=found["version"], until=datetime.fromisoformat(found["until"]), raised=found["raised"])


def as_trained(version: Version) -> Version:
    """Give a version at the level that its training gave it."""
    raised = origin_of(version).raised
    return version if raised == 0 else replace(version, estimator=version.estimator.raised(-raised))


def known_until(version: Version) -> datetime:
    """Give the moment before which a version knows everything: that of its training, or of its newest level."""
    return datetime.fromisoformat(version.bundle["until"])


def recalibrate(
    history: History, experiment: Experiment, live: Version, *, until: datetime, version_id: str
) -> Recalibration:
    """Look whether the level is off, and give the live version at the level of now.

    Args:
        history: as known at `until`.
        experiment: that the version was trained by.
        live: the version that serves.
        until: nothing that was not known then is used.
        version_id: of the new version.

    Raises:
        InputError: the version knows all that was known at `until` already.
    """
    if until <= known_until(live):
        raise InputError(
            f"version {live.version} knows all that came before {known_until(live).isoformat()}, so that nothing is newer at "
            f"{until.isoformat()}; name a later moment, or none for now"
        )
    standing = find_level(history, experiment, live, until=until)
    dataset, known, level = standing.dataset, standing.known, standing.level
    nothing = Recalibration(live=live, verdict=standing.reason, dataset=dataset, level=level)
    if not standing.off:
        return nothing
    newest = newest_weeks(dataset, known, until)
    asked = judge_level(dataset, newest, standing.log_odds, level, experiment)
    return replace(
        nothing,
        verdict=verdict(asked),
        gates=asked,
        metrics=_metrics(newest, standing.log_odds, level),
        candidate=_raised(live, origin_of(live), level, asked, until=until, version_id=version_id),
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the level of a live version stands.

    Attributes:
        dataset: rows that were looked at.
        known: their outcomes known now.
        log_odds: what the version says of the known rows, NaN of others; missing where nothing was looked at.
        level: what these lack.
        reason: why nothing is to be changed; empty where the level is surely off.
        newer: outcomes of rows that the version did not know when it was trained, or its level set.
    """

    dataset: Dataset
    known: Lesson
    log_odds: Floats
    level: Level = field(default_factory=Level)
    reason: str = ""
    newer: Lesson

    @property
    def off(self) -> bool:
        """Whether the level is surely off."""
        return not self.reason

    @property
    def said(self) -> float:
        """Mean probability of the newer rows."""
        rows = self.newer.used
        return float(np.average(expit(self.log_odds[rows]), weights=self.newer.weight[rows]))

    @property
    def won_share(self) -> float:
        """Share won of the newer rows."""
        rows = self.newer.used
        return float(np.average(self.newer.won[rows], weights=self.newer.weight[rows]))

    @property
    def count(self) -> int:
        """Opportunities that the newer rows are of."""
        return _count(self.dataset, self.newer)


def find_level(history: History, experiment: Experiment, live: Version, *, until: datetime) -> Standing:
    """Find where the level of a live version stands by the outcomes known at `until`, and whether it is surely off."""
    dataset = sample_dataset(
        history, live.plan, experiment.ages_days, until, rows_max=LEVEL_ROWS_ENOUGH, seed=experiment.seed
    )
    known, origin = dataset.lesson(until), origin_of(live)
    newer = known.within(~dataset.lesson(known_until(live)).used)
    standing = Standing(dataset=dataset, known=known, log_odds=np.zeros(0), newer=newer)
    if not dataset.dated:
        undated = "nothing changed: records without creation dates don't tell which outcomes are new"
        return replace(standing, reason=undated)
    if short := _too_few(dataset, known.within(~dataset.lesson(origin.until).used), origin):
        return replace(standing, reason=short)
    log_odds = np.full(dataset.keys.height, np.nan)
    log_odds[known.used] = logit(live.estimator.predict(dataset.features.filter(known.used)))
    level = follow_level(dataset, known, log_odds, until)
    right = abs(level.shift) <= SURELY * np.sqrt(level.variance)
    return replace(standing, log_odds=log_odds, level=level, reason=_right(level) if right else "")


def _too_few(dataset: Dataset, new: Lesson, origin: Origin) -> str:
    """Say that too little came since the training; empty where enough did."""
    count = _count(dataset, new)
    if count >= OUTCOMES_MIN:
        return ""
    return f"nothing changed: {count} outcomes are known that {origin.version} had not learnt from, {OUTCOMES_MIN} are needed"


def _count(dataset: Dataset, lesson: Lesson) -> int:
    return len(np.unique(dataset.groups[lesson.used]))


def _right(level: Level) -> str:
    return (
        f"nothing changed: in log-odds, outcomes lie {level.shift:+.2f} from what is said of them, "
        f"which is within {SURELY} standard errors of {np.sqrt(level.variance):.2f}"
    )


def newest_weeks(dataset: Dataset, known: Lesson, until: datetime) -> Lesson:
    """Give the newest weeks of a lesson that hold OUTCOMES_MIN opportunities, won and lost ones; all where there are fewer.

    Losses alone, as of rare wins or of leads that silence is about to end, would speak against every rise.
    """
    age = weeks_before(dataset, until)
    for week in np.unique(age[known.used]):
        newest = known.within(age <= week)
        if _count(dataset, newest) >= OUTCOMES_MIN and count_rarer(dataset, newest) > 0:
            return newest
    return known


def judge_level(dataset: Dataset, newest: Lesson, log_odds: Floats, level: Level, experiment: Experiment) -> list[Gate]:
    """Ask that the newest outcomes don't speak for the level that is served now."""
    rows = newest.used
    outcomes = Outcomes(won=newest.won[rows], weight=newest.weight[rows], groups=dataset.groups[rows])
    ours, theirs = expit(log_odds[rows] + level.shift), expit(log_odds[rows])
    return no_step_back(outcomes, ours, theirs, experiment.gates, who="the live version", seed=experiment.seed)


def _metrics(newest: Lesson, log_odds: Floats, level: Level) -> dict[str, float]:
    """Measure the new level and that of the live version on the newest outcomes, as `<who>_<metric>`."""
    rows = newest.used
    return {
        f"{who}_{metric}": value
        for who, said in (("recalibrated", log_odds[rows] + level.shift), ("live", log_odds[rows]))
        for metric, value in measure(newest.won[rows], np.asarray(expit(said)), newest.weight[rows]).items()
    }


def _raised(
    live: Version, origin: Origin, level: Level, gates: list[Gate], *, until: datetime, version_id: str
) -> Version:
    """Give a version at its new level, with the gates that its training passed and those asked now."""
    passed = [gate for gate in live.bundle.get("gates", []) if gate["number"] < LIVE_GATE]
    since = {"version": origin.version, "until": origin.until.isoformat(), "raised": origin.raised + level.shift}
    return replace(
        live,
        version=f"{version_id}{PRIOR_SUFFIX}" if live.basis == "prior" else version_id,
        estimator=live.estimator.raised(level.shift, error=float(np.sqrt(level.variance))),
        bundle={
            **live.bundle,
            "until": until.isoformat(),
            "gates": [*passed, *(gate.to_json() for gate in gates)],
            SINCE: since,
        },
    )
