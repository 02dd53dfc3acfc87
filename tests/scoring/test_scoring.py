from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from fitted import PARAMETERS
from polars.testing import assert_frame_equal
from scipy.special import expit
from world_history import history_of, make_plan
from worlds import INSTANT, START, STEP, STEPS, make_subjects, make_world, subjects_frame

from forecast.estimators.boosting import Boosting, fit_boosting, training_set
from forecast.estimators.encoding import fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.mix import Mix
from forecast.estimators.win import PriorModel, WinModel
from forecast.features import opportunity_features
from forecast.records import Score
from forecast.registry import Version
from forecast.scoring.grades import GradePolicies, GradeThresholds
from forecast.scoring.reasons import PACE, REASON_LOG_ODDS_MIN, REASONS_MAX, THEMES, theme_of
from forecast.scoring.scores import refused_subjects, score_open_opportunities, score_opportunities
from forecast.scoring.table import write_scores
from forecast.snapshot import known_opportunities, take_snapshot
from forecast.store import unit_of_work

TODAY = START + (STEPS - 20) * STEP
POLICIES = GradePolicies(
    default=GradeThresholds(
        probability_high=0.5, probability_medium=0.3, expected_value_high=1000.0, expected_value_medium=50.0
    )
)
MODEL = "win_probability"


@pytest.fixture(scope="module")
def world():
    """A company of sixty opportunities."""
    return make_world(5, size=60)


@pytest.fixture(scope="module")
def version(world):
    """A version fitted on that company; what it learns does not matter here."""
    history, plan = history_of(world), make_plan(world)
    subjects = make_subjects(world, 1, 400)
    features = opportunity_features(take_snapshot(history, subjects), plan)
    won = (
        np.random.default_rng(1).random(400) < np.where(features["amount"].fill_null(0).to_numpy() > 200, 0.8, 0.2)
    ).astype(float)
    encoding = fit_encoding(features)
    matrix, weight = encoding.matrix(features), np.ones(400)
    estimator = WinModel(
        encoding=encoding,
        mix=Mix(
            boosting=Boosting.of(fit_boosting(training_set(encoding, matrix, won, weight), PARAMETERS, 30, 1)),
            logistic=fit_logistic(encoding, matrix, won, weight, 10.0),
            boosting_share=0.5,
        ),
    )
    return Version(
        name=MODEL, version="v1", basis="own", estimator=estimator, plan=plan, usual={"amount": 500.0}, bundle={}
    )


def accepted(world, count=30):
    """Draw subjects that can be scored."""
    subjects = make_subjects(world, 2, 3 * count)
    refused = refused_subjects(history_of(world), subjects)
    keys = ["opportunity_id", "as_of"]
    return subjects.join(refused, on=keys, how="anti", nulls_equal=True, maintain_order="left").unique(
        keys, maintain_order=True
    )[:count]


def scored(world, version, subjects=None):
    """Score subjects of a world."""
    return score_opportunities(
        history_of(world), version, accepted(world) if subjects is None else subjects, policies=POLICIES
    )


def test_a_score_is_the_models_probability_times_the_amount_then(world, version):
    """Probability, amount and expected value are of the subject's moment, rows in the order of subjects."""
    subjects = accepted(world)
    scores = scored(world, version, subjects)
    features = opportunity_features(take_snapshot(history_of(world), subjects), version.plan)
    assert scores.select("opportunity_id", "as_of").equals(subjects)
    assert scores["probability"].to_list() == version.estimator.predict(features).tolist()
    for row, amount in zip(scores.iter_rows(named=True), features["amount"], strict=True):
        assert 0 < row["probability"] < 1
        assert row["amount"] == amount
        assert row["expected_value"] == (None if amount is None else row["probability"] * amount)
        assert (row["basis"], row["version"]) == ("own", "v1")


def test_every_score_has_its_range(world, version):
    """The ends are those of the estimator, and the probability lies between them."""
    scores = scored(world, replace(version, estimator=replace(version.estimator, level_error=0.5)))
    assert (scores["probability_low"] < scores["probability"]).all()
    assert (scores["probability"] < scores["probability_high"]).all()


def test_a_pipeline_with_little_of_its_own_says_so(world, version):
    """Where pipelines with enough closed records are named, scores of the others are pooled; a prior stays a prior."""
    few = replace(version, bundle={"own_pipelines": ["a pipeline that no record is of"]})
    assert set(scored(world, few)["basis"]) == {"pooled"}
    assert set(scored(world, replace(few, bundle={"own_pipelines": []}))["basis"]) == {"own"}
    assert set(scored(world, replace(few, basis="prior"))["basis"]) == {"prior"}


def test_the_same_question_has_the_same_answer(world, version):
    """Scored again, in another order or one by one, every score is the same to the last bit."""
    subjects = accepted(world)
    scores = scored(world, version, subjects)
    assert_frame_equal(scored(world, version, subjects), scores, check_exact=True)
    assert_frame_equal(scored(world, version, subjects.reverse()).reverse(), scores, check_exact=True)
    alone = pl.concat([scored(world, version, subjects[row]) for row in range(8)])
    assert_frame_equal(alone, scores[:8], check_exact=True)


def test_all_open_opportunities_are_scored_at_one_moment(world, version):
    """Those that existed and were open then, and no other."""
    history = history_of(world)
    scores = score_open_opportunities(history, version, as_of=TODAY, policies=POLICIES)
    assert scores.height > 10
    assert scores.select("opportunity_id", "as_of").equals(known_opportunities(history, TODAY))


def test_nothing_open_gives_an_empty_frame_of_the_same_columns(world, version):
    """A pipeline without open opportunities is not an error."""
    none = score_open_opportunities(history_of(world), version, as_of=START - 900 * STEP, policies=POLICIES)
    undated = none.height
    assert undated == sum(
        row["created_at"] is None and (row["status"] == "open" or row["closed_at"] is not None)
        for row in world.opportunities
    )
    empty = scored(world, version, subjects_frame([]))
    assert empty.is_empty()
    assert empty.schema == scored(world, version).schema


def points(value, high, medium):
    """Give the points of one axis."""
    return (value >= high) + (value >= medium)


def test_grades_follow_the_matrix(world, version):
    """Each grade is that of its probability and expected value."""
    scores = scored(world, version)
    for row in scores.iter_rows(named=True):
        likely = points(row["probability"], 0.5, 0.3)
        worth = likely if row["expected_value"] is None else points(row["expected_value"], 1000.0, 50.0)
        assert row["grade"] == ("low", "low", "medium", "high", "high")[likely + worth]
    assert scores["grade"].n_unique() == 3


def test_base_and_themes_add_up_to_the_score(world, version):
    """The bias and the parts of all themes together are the log-odds of the probability."""
    scores = scored(world, version)
    for row in scores.iter_rows(named=True):
        total = row["base"] + sum(part["contribution"] for part in row["themes"])
        assert expit(total) == pytest.approx(row["probability"], abs=1e-9)
    assert len({theme["theme"] for row in scores["themes"] for theme in row}) > 6


def test_reasons_are_the_strongest_themes(world, version):
    """At most five themes each way, strongest first, none too weak to matter, each told by the feature that pulls most."""
    subjects = accepted(world)
    features = opportunity_features(take_snapshot(history_of(world), subjects), version.plan)
    names = version.estimator.encoding.features
    parts = version.estimator.explain(features)[1][:, :-1]
    scores = scored(world, version)
    for position, row in enumerate(scores.iter_rows(named=True)):
        members = {theme: [i for i, name in enumerate(names) if theme_of(name) == theme] for theme in THEMES}
        sums = {theme: sum(parts[position, i] for i in own) for theme, own in members.items() if own}
        for column, sign in (("reasons_for", 1), ("reasons_against", -1)):
            pulls = sorted((sign * pull for pull in sums.values()), reverse=True)
            expected = [pull for pull in pulls[:REASONS_MAX] if pull >= REASON_LOG_ODDS_MIN]
            assert [sign * reason["contribution"] for reason in row[column]] == expected
            for reason in row[column]:
                strongest = max(sign * parts[position, i] for i in members[reason["theme"]])
                assert sign * parts[position, names.index(reason["feature"])] == strongest
                if reason["feature"] == PACE:  # told by its two durations
                    continue
                assert reason["usual"] == {"amount": 500.0}.get(reason["feature"])
                value = features[reason["feature"]][position]
                shown = reason["value"] if value is None or isinstance(value, str) else float(reason["value"])
                assert shown == (pytest.approx(value, abs=1e-4) if isinstance(value, float) else value)
    assert scores["reasons_for"].list.len().max() >= 3


def test_usual_is_of_the_same_stage_where_that_is_known(world, version):
    """Of a stage with a median of its own that one is told, else that of all won; of leads, that of converted ones."""
    bundle = {"usual_by_stage": {"报价": {"amount": 900.0}}}
    told = {
        (row["stage"], reason["usual"], reason["usual_of"])
        for row in stages_and_reasons(world, replace(version, bundle=bundle))
        for reason in row["reasons"]
        if reason["feature"] == "amount"
    }
    assert ("报价", 900.0, "stage") in told
    assert {(usual, of) for stage, usual, of in told if stage != "报价"} == {(500.0, "won")}
    of_leads = replace(version, bundle={"config": 'population = "lead"'})
    assert {
        reason["usual_of"]
        for row in stages_and_reasons(world, of_leads)
        for reason in row["reasons"]
        if reason["usual"] and reason["feature"] != PACE
    } == {"lead"}


def stages_and_reasons(world, version):
    """Give each score's stage and all its reasons."""
    scores = scored(world, version)
    stages = take_snapshot(history_of(world), scores.select("opportunity_id", "as_of")).rows["stage"]
    return [
        {"stage": stage, "reasons": [*row["reasons_for"], *row["reasons_against"]]}
        for stage, row in zip(stages, scores.iter_rows(named=True), strict=True)
    ]


@pytest.mark.parametrize(
    ("feature", "theme"),
    [
        ("amount_change_share", "amount"),
        ("reached_报价_days", "stage"),
        ("age_days", "timing"),
        ("activity_拜访_silence_days", "activity"),
        ("account_win_lift", "account"),
        ("owner_closed_share", "people"),
        ("product_family", "product"),
        ("campaign_id", "source"),
        ("competition", "evaluation"),
        ("account_custom_tier", "custom"),
        ("custom_activity", "custom"),
        ("phase_of_the_moon", "other"),
    ],
)
def test_every_feature_has_a_theme(feature, theme):
    """A feature belongs to the first theme that knows it, and one that none knows to the others."""
    assert theme_of(feature) == theme


def test_a_prior_gives_no_reasons(world, version):
    """Where the share won so far is served, nothing speaks for or against."""
    estimator = PriorModel(ages_days=(0.0,), shares=(0.25,))
    scores = scored(world, replace(version, estimator=estimator, basis="prior"))
    assert set(scores["probability"]) == {0.25}
    assert set(scores["basis"]) == {"prior"}
    assert scores["reasons_for"].list.len().sum() + scores["reasons_against"].list.len().sum() == 0


def test_what_cannot_be_scored_is_refused_with_its_reason(world, version):
    """Unknown, not created yet, closed before, closed at an unknown moment, and without a moment."""
    history = history_of(world)
    closed = next(row for row in world.opportunities if row["closed_at"] and row["created_at"])
    unknown = next(row for row in world.opportunities if row["status"] != "open" and row["closed_at"] is None)
    subjects = subjects_frame(
        [
            ("nobody", TODAY),
            (closed["id"], closed["created_at"] - INSTANT),
            (closed["id"], closed["created_at"]),
            (closed["id"], closed["closed_at"]),
            (closed["id"], closed["closed_at"] + INSTANT),
            (unknown["id"], TODAY + 900 * STEP),
            (unknown["id"], None),
        ]
    )
    refused = refused_subjects(history, subjects)
    reasons = ["no such record", "created at 2024", "closed at 2024", "closed at an unknown moment", "no moment"]
    assert [reason for reason in reasons if not refused["reason"].str.contains(reason).any()] == []
    assert refused.height == 5
    found = scored(world, version, subjects)
    assert found.select("opportunity_id", "as_of").equals(subjects[2:4])


def write(engine, *frames, model=MODEL):
    """Write each frame of scores in a transaction of its own."""
    for frame in frames:
        with unit_of_work(engine) as session:
            write_scores(session, frame, model=model)


def kept(engine, model=MODEL):
    """Read (record, moment, version, latest) of what is kept."""
    with unit_of_work(engine) as session:
        query = sa.select(Score.record_id, Score.as_of, Score.version, Score.latest).where(Score.model == model)
        return sorted(tuple(row) for row in session.execute(query))


def at(world, version, *moments, name="v1"):
    """Score the first opportunity that is always open at some moments."""
    row = next(row for row in world.opportunities if row["status"] == "open" and row["created_at"] is None)
    return scored(world, replace(version, version=name), subjects_frame([(row["id"], moment) for moment in moments]))


def test_scores_are_kept_as_they_are(engine, world, version):
    """Numbers to the last bit, moments to the microsecond, reasons with Chinese values."""
    scores = scored(world, version)
    write(engine, scores)
    with unit_of_work(engine) as session:
        found = {(score.record_id, score.as_of): score for score in session.scalars(sa.select(Score))}
    assert len(found) == scores.height
    for row in scores.iter_rows(named=True):
        score = found[row["opportunity_id"], row["as_of"]]
        for name in ("probability", "expected_value", "grade", "basis", "version"):
            assert getattr(score, name) == row[name]
        assert score.reasons == {
            "for": row["reasons_for"],
            "against": row["reasons_against"],
            "base": row["base"],
            "themes": row["themes"],
        }
        assert (score.model, score.kind) == (MODEL, "opportunity")


def test_scoring_again_adds_nothing(engine, world, version):
    """The same record, version and moment is kept once, in another batch and within one."""
    scores = scored(world, version)
    write(engine, scores, scores, scores[:3])
    assert len(kept(engine)) == scores.height
    one = at(world, version, TODAY + STEP)
    write(engine, pl.concat([one, one]))
    assert len(kept(engine)) == scores.height + 1


def test_one_score_of_each_record_is_the_latest(engine, world, version):
    """Several moments of one record in one batch: the newest is marked, and only it."""
    write(engine, scored(world, version), at(world, version, TODAY, TODAY + STEP, TODAY - STEP))
    newest = {}
    for record, as_of, _, _ in kept(engine):
        newest[record] = max(as_of, newest.get(record, as_of))
    marked = [(record, as_of) for record, as_of, _, latest in kept(engine) if latest]
    assert marked == sorted(newest.items())


def test_an_earlier_moment_never_takes_latest_from_a_later_one(engine, world, version):
    """Scoring the past is history at once; scoring later moves the mark."""
    moments = (TODAY, TODAY - STEP, TODAY + STEP)
    write(engine, *(at(world, version, moment) for moment in moments))
    assert [latest for _, _, _, latest in kept(engine)] == [False, False, True]
    write(engine, at(world, version, TODAY - timedelta(days=3), TODAY + 2 * STEP, TODAY + INSTANT))
    assert [latest for _, _, _, latest in kept(engine)] == [False] * 5 + [True]


def test_another_version_at_the_same_moment_becomes_the_latest(engine, world, version):
    """A version that went live scores again, and its score stands."""
    write(engine, at(world, version, TODAY), at(world, version, TODAY, name="v2"))
    assert [row[2:] for row in kept(engine)] == [("v1", False), ("v2", True)]


def test_models_do_not_touch_each_others_scores(engine, world, version):
    """Latest is a mark of one model."""
    write(engine, at(world, version, TODAY))
    write(engine, at(world, version, TODAY + STEP), model="another")
    assert [row[3] for row in kept(engine) + kept(engine, "another")] == [True, True]


def test_two_batches_in_one_transaction(engine, world, version):
    """Scores may be written more than once before the commit."""
    with unit_of_work(engine) as session:
        write_scores(session, at(world, version, TODAY), model=MODEL)
        write_scores(session, at(world, version, TODAY + STEP), model=MODEL)
    assert [latest for *_, latest in kept(engine)] == [False, True]


def test_no_scores_write_nothing(engine, world, version):
    """An empty batch is not an error."""
    write(engine, scored(world, version, subjects_frame([])))
    assert kept(engine) == []


def test_reasons_are_given_to_the_most_valuable_share(engine, world, version):
    """Asked for a share, those of the highest expected value are explained as ever; the others are scored all the same."""
    every = scored(world, version)
    some = score_opportunities(history_of(world), version, accepted(world), policies=POLICIES, reasons_share=0.3)
    told = ["base", "themes", "reasons_for", "reasons_against"]
    first = every["expected_value"].fill_null(float("-inf")).rank("ordinal", descending=True) <= 9
    assert_frame_equal(some.drop(told), every.drop(told), check_exact=True)
    assert_frame_equal(some.filter(first), every.filter(first), check_exact=True)
    assert some.filter(~first).select(told).null_count().row(0) == (21,) * 4
    write(engine, some)
    with unit_of_work(engine) as session:
        assert sum(score.reasons == {} for score in session.scalars(sa.select(Score))) == 21
