import csv
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from forecast.demo import simulate_company, write_export
from forecast.demo.workdays import lunar_new_year
from forecast.errors import InputError
from forecast.records import RECORD_KINDS, Change

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
PLURALS = {"people": "person", "opportunities": "opportunity", "activities": "activity"}
NOT_RECORDS = {"stage_changes", "field_changes", "truth"}
CUSTOM_FIELDS = {"budget_confirmed", "buying_process"}


@pytest.fixture(scope="module")
def company():
    """Simulate a company as described."""
    return simulate_company(7, UNTIL)


@pytest.fixture(scope="module")
def large():
    """Simulate a company with enough opportunities for rates by group."""
    return simulate_company(5, UNTIL, opportunities=20_000)


@pytest.fixture(scope="module")
def noise():
    """Simulate a company without signal."""
    return simulate_company(7, UNTIL, signal=0.0)


def frames(company):
    """Give a company's frames by name."""
    return {field.name: getattr(company, field.name) for field in fields(company)}


def closed_with_truth(company):
    """Give the closed opportunities with their `p_true` and `outcome`."""
    truth = company.truth.select("p_true", id="opportunity_id", outcome="won")
    return company.opportunities.join(truth, on="id").filter(pl.col("status") != "open")


def dynamics(company):
    """Measure per closed opportunity what its life looked like, from the exported rows alone."""
    postponed = (pl.col("field") == "expected_close_on") & (pl.col("new_value") > pl.col("old_value"))
    events = {
        "activities": company.activities,
        "inbound": company.activities.filter(pl.col("direction") == "inbound"),
        "stages": company.stage_changes,
        "pushes": company.field_changes.filter(postponed).rename({"record_id": "opportunity_id"}),
        "quotes": company.quotes,
    }
    closed = closed_with_truth(company).with_columns(days=(pl.col("closed_at") - pl.col("created_at")).dt.total_days())
    for name, frame in events.items():
        closed = closed.join(frame.group_by(id="opportunity_id").agg(pl.len().alias(name)), on="id", how="left")
    return closed.with_columns(pl.col(*events).fill_null(0))


def test_the_same_arguments_give_the_same_company(company):
    """Two simulations of one seed agree in every cell of every frame."""
    again = frames(simulate_company(7, UNTIL))
    assert [name for name, frame in frames(company).items() if not frame.equals(again[name])] == []


def test_another_seed_gives_another_company(company):
    """The seed decides what is drawn."""
    assert not simulate_company(8, UNTIL).opportunities.equals(company.opportunities)


@pytest.mark.parametrize("until", [UNTIL, datetime(2024, 2, 29, 11, 30, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)])
def test_nothing_is_recorded_after_the_end(until):
    """Every exported moment lies before `until`, in the middle of a leap day too."""
    exported = replace(simulate_company(3, until, opportunities=600), truth=pl.DataFrame())
    moments = [
        (name, column, frame[column].max())
        for name, frame in frames(exported).items()
        for column, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime) and frame.height
    ]
    assert [found for found in moments if found[2] >= until] == []
    assert max(found[2] for found in moments) > until - timedelta(days=4)


def test_a_leap_day_is_a_day_like_any_other():
    """Deals are worked on 29 February, and close dates fall on it."""
    company = simulate_company(3, datetime(2024, 4, 1, tzinfo=UTC))
    leap_day = date(2024, 2, 29)
    assert (company.activities["occurred_at"].dt.date() == leap_day).any()
    assert (company.field_changes["new_value"] == "2024-02-29").any()


def test_about_three_in_ten_are_won(company):
    """The base rate is 0.3, and so is the mean of the true probabilities."""
    assert company.truth["won"].mean() == pytest.approx(0.3, abs=0.03)
    assert company.truth["p_true"].mean() == pytest.approx(0.3, abs=1e-6)


def test_the_true_probability_tells_winners_from_losers(company):
    """Nobody can do better at creation than an AUC of about 0.80."""
    assert roc_auc_score(company.truth["won"], company.truth["p_true"]) == pytest.approx(0.80, abs=0.03)


def test_the_true_probability_is_calibrated(large):
    """In every tenth of the opportunities, as many are won as their true probabilities say."""
    truth = large.truth
    tenth = pl.col("p_true").rank("ordinal") * 10 // (truth.height + 1)
    rates = truth.group_by(tenth=tenth).agg(pl.col("won").mean(), pl.col("p_true").mean(), n=pl.len())
    error = (rates["won"] - rates["p_true"]) / (rates["p_true"] * (1 - rates["p_true"]) / rates["n"]).sqrt()
    assert rates.height == 10
    assert error.abs().max() < 4


@pytest.mark.parametrize(
    ("known", "likelier"),
    [("need_fit", 5), ("competition", 5), ("purchasing_power", 5), ("budget_confirmed", True), ("source", "Referral")],
)
def test_what_is_known_at_creation_matters(large, known, likelier):
    """Good evaluations, a confirmed budget and good sources win more often."""
    closed = closed_with_truth(large)
    favoured = closed.filter(pl.col(known) == likelier)["outcome"].mean()
    assert favoured > closed["outcome"].mean() + 0.05


def test_closed_records_are_consistent(company):
    """Closed records have their end, which agrees with the truth; open ones have none."""
    opportunities = company.opportunities.join(
        company.truth.select(id="opportunity_id", outcome="won", ends_at="closed_at"), on="id"
    )
    closed = opportunities.filter(pl.col("ends_at") < UNTIL)
    still_open = opportunities.filter(pl.col("ends_at") >= UNTIL)
    assert closed["closed_at"].equals(closed["ends_at"])
    assert (closed["closed_at"] > closed["created_at"]).all()
    assert (
        closed["status"]
        == pl.select(pl.when(closed["outcome"]).then(pl.lit("won")).otherwise(pl.lit("lost"))).to_series()
    ).all()
    assert closed["stage"].str.to_lowercase().equals(closed["status"])
    assert closed.filter("outcome")["won_amount"].null_count() == 0
    assert set(still_open["status"]) == {"open"}
    assert still_open.select("closed_at", "won_amount", "lost_reason").null_count().row(0) == (still_open.height,) * 3
    assert not set(still_open["stage"]) & {"Won", "Lost"}
    assert 0.05 < still_open.height / opportunities.height < 0.15


def test_stages_lead_to_the_exported_stage(company):
    """Stage rows begin at creation, go forward in time and stage, and end in the exported stage, by the close."""
    position = company.stages.select("position", stage="name")
    steps = company.stage_changes.join(position, on="stage", maintain_order="left").group_by(
        "opportunity_id", maintain_order=True
    )
    ways = steps.agg(
        pl.col("stage").last(),
        begins=pl.col("changed_at").first(),
        ends=pl.col("changed_at").last(),
        in_order=pl.col("changed_at").is_sorted() & pl.col("position").is_sorted(),
    )
    joined = company.opportunities.join(
        ways, left_on="id", right_on="opportunity_id", how="left", maintain_order="left"
    )
    assert joined["in_order"].all()
    assert joined["begins"].equals(joined["created_at"], check_names=False)
    assert joined["stage"].equals(joined["stage_right"], check_names=False)
    closed = joined.filter(pl.col("status") != "open")
    assert closed["ends"].equals(closed["closed_at"], check_names=False)


@pytest.mark.parametrize("field", ["amount", "expected_close_on", "owner_id"])
def test_changes_lead_to_the_exported_value(company, field):
    """Each change starts from the value before it, and the last one gives the exported value."""
    changes = company.field_changes.filter(pl.col("field") == field)
    chained = changes.with_columns(before=pl.col("new_value").shift().over("record_id")).filter(
        pl.col("before").is_not_null()
    )
    assert (chained["before"] == chained["old_value"]).all()
    assert (changes["new_value"] != changes["old_value"]).all()
    last = changes.group_by("record_id", maintain_order=True).agg(
        pl.col("new_value").last(), pl.col("changed_at").last()
    )
    exported = company.opportunities.select("id", pl.col(field), "created_at", "closed_at")
    joined = last.join(exported, left_on="record_id", right_on="id")
    as_text = (
        joined[field].cast(pl.Decimal(18, 2)).cast(pl.String) if field == "amount" else joined[field].cast(pl.String)
    )
    assert joined.height > 100
    assert joined["new_value"].equals(as_text, check_names=False)
    assert (joined["changed_at"] > joined["created_at"]).all()
    assert (joined["changed_at"] <= joined["closed_at"].fill_null(UNTIL)).all()


def test_activities_lie_within_the_life_of_their_opportunity(company):
    """Nothing is entered before an opportunity exists or after it closed."""
    lives = company.opportunities.select("id", "created_at", "closed_at")
    entered = company.activities.join(lives, left_on="opportunity_id", right_on="id")
    assert entered.height > 10_000
    assert (entered["occurred_at"] >= entered["created_at_right"]).all()
    assert (entered["created_at"] >= entered["occurred_at"]).all()
    assert (entered["created_at"] <= entered["closed_at"].fill_null(UNTIL)).all()


def test_work_is_done_in_business_hours(company):
    """Activities fall on weekdays between 9 and 18 o'clock, local standard time."""
    regions = company.people.join(company.teams, left_on="team_id", right_on="id").select("id", "region")
    done = company.activities.join(regions, left_on="person_id", right_on="id")
    hours_ahead = pl.col("region").replace_strict({"Europe": 1, "North America": -5}, default=8)
    local = done.select(pl.col("occurred_at") + pl.duration(hours=hours_ahead)).to_series()
    assert set(local.dt.weekday()) == {1, 2, 3, 4, 5}
    assert (local.dt.hour().min(), local.dt.hour().max()) == (9, 17)


@pytest.mark.parametrize(("year", "day"), [(2000, 36), (2020, 25), (2024, 41), (2025, 29), (2026, 48), (2033, 31)])
def test_the_chinese_new_year_is_found(year, day):
    """The computed day (of the year) is the calendar's, to within one."""
    assert lunar_new_year(year) == pytest.approx((date(year, 1, 1) - date(1970, 1, 1)).days + day - 1, abs=1)


def test_china_rests_at_the_new_year(company):
    """No Chinese opportunity is created in the holiday, when Europe and America go on."""
    holiday = pl.col("created_at").is_between(datetime(2026, 2, 17, tzinfo=UTC), datetime(2026, 2, 22, tzinfo=UTC))
    teams = set(company.opportunities.filter(holiday)["team_id"])
    assert teams == {"T4", "T5"}


def test_business_grows_by_about_a_fifth_a_year(large):
    """The last year has about 1.2 times the opportunities of the year before."""
    created = large.opportunities["created_at"]
    year = timedelta(days=365)
    last, before = (
        (created >= UNTIL - year).sum(),
        created.is_between(UNTIL - 2 * year, UNTIL - year, closed="left").sum(),
    )
    assert last / before == pytest.approx(1.2, abs=0.06)


def test_more_opportunities_make_a_larger_company(company, large):
    """Opportunities are as many as asked for, and the rest grows with them."""
    assert (company.opportunities.height, large.opportunities.height) == (4000, 20_000)
    for name in ("accounts", "leads", "activities", "quotes", "orders", "cases"):
        ratio = getattr(large, name).height / getattr(company, name).height
        assert ratio == pytest.approx(5, rel=0.3), name


def test_fields_have_gaps_as_in_life(company):
    """A quarter of the evaluations is missing, and a few amounts and sources."""
    missing = {name: company.opportunities[name].null_count() / 4000 for name in ("need_fit", "amount", "source")}
    assert missing == pytest.approx({"need_fit": 0.25, "amount": 0.03, "source": 0.03}, abs=0.02)


def test_leads_end_in_their_opportunity_or_not(company):
    """A converted lead names an opportunity that begins as it closes; a disqualified one has a reason."""
    by_status = {key[0]: part for key, part in company.leads.partition_by("status", as_dict=True).items()}
    assert set(by_status) == {"open", "converted", "disqualified"}
    converted = by_status["converted"].join(company.opportunities, left_on="opportunity_id", right_on="id")
    assert converted.height == by_status["converted"].height
    assert converted["closed_at"].equals(converted["created_at_right"], check_names=False)
    assert converted["id"].equals(converted["lead_id"], check_names=False)
    assert (converted["created_at"] < converted["created_at_right"]).all()
    assert by_status["disqualified"]["lost_reason"].null_count() == 0
    assert by_status["open"]["closed_at"].null_count() == by_status["open"].height


@pytest.mark.parametrize(
    ("frame", "column", "target"),
    [
        ("opportunities", "account_id", "accounts"),
        ("opportunities", "campaign_id", "campaigns"),
        ("opportunities", "lead_id", "leads"),
        ("opportunities", "owner_id", "people"),
        ("opportunities", "product_id", "products"),
        ("opportunities", "team_id", "teams"),
        ("people", "manager_id", "people"),
        ("accounts", "owner_id", "people"),
        ("leads", "campaign_id", "campaigns"),
        ("activities", "opportunity_id", "opportunities"),
        ("activities", "lead_id", "leads"),
        ("stage_changes", "opportunity_id", "opportunities"),
        ("field_changes", "record_id", "opportunities"),
        ("quotes", "opportunity_id", "opportunities"),
        ("orders", "opportunity_id", "opportunities"),
        ("orders", "account_id", "accounts"),
        ("order_lines", "order_id", "orders"),
        ("order_lines", "product_id", "products"),
        ("cases", "account_id", "accounts"),
        ("feedback", "case_id", "cases"),
        ("quotas", "person_id", "people"),
    ],
)
def test_references_find_their_record(company, frame, column, target):
    """Every reference names a record that was exported and existed before."""
    referring = getattr(company, frame).filter(pl.col(column).is_not_null()).select(ref=pl.col(column))
    assert referring.height > 0
    assert referring.join(getattr(company, target), left_on="ref", right_on="id", how="anti").is_empty()


@pytest.mark.parametrize("frame", ["opportunities", "leads", "orders", "cases", "feedback"])
def test_accounts_exist_before_whatever_is_theirs(company, frame):
    """An account is entered before its first lead, opportunity, order, case and feedback."""
    joined = getattr(company, frame).join(company.accounts, left_on="account_id", right_on="id")
    assert joined.height > 100
    assert (joined["created_at_right"] < joined["created_at"]).all()


def test_order_lines_add_up(company):
    """The lines of an order add up to its amount, and a won opportunity's order to what was won."""
    lines = company.order_lines.group_by(id="order_id").agg(total=pl.col("amount").sum())
    orders = company.orders.join(lines, on="id", how="left")
    assert (orders["amount"] - orders["total"]).abs().max() < 0.01
    won = company.orders.join(company.opportunities, left_on="opportunity_id", right_on="id")
    assert (won["status_right"] == "won").all()
    assert won["amount"].equals(won["won_amount"], check_names=False)
    assert (won["ordered_at"] >= won["closed_at"]).all()


MEASURES = ["days", "activities", "inbound", "stages", "pushes", "quotes"]


def test_lives_tell_the_outcome(company):
    """Won opportunities differ from lost ones in how they went."""
    measured = dynamics(company)
    auc = {name: roc_auc_score(measured["outcome"], measured[name]) for name in MEASURES}
    assert auc["activities"] > 0.6
    assert auc["inbound"] > 0.6
    assert auc["stages"] > 0.7
    assert auc["pushes"] < 0.42
    assert auc["quotes"] > 0.6


@pytest.mark.parametrize("measure", MEASURES)
def test_noise_tells_nothing(noise, measure):
    """Without signal, nothing that happened to an opportunity says how it ended."""
    measured = dynamics(noise)
    assert roc_auc_score(measured["outcome"], measured[measure]) == pytest.approx(0.5, abs=0.04)


def test_noise_has_one_probability(noise):
    """Without signal, every true probability is the base rate, and that is how often they win."""
    assert noise.truth["p_true"].to_numpy() == pytest.approx(np.full(4000, 0.3))
    assert noise.truth["won"].mean() == pytest.approx(0.3, abs=0.03)


def test_files_hold_what_the_frames_hold(company, tmp_path):
    """Each frame but the truth becomes a file, that parses back to the same rows, Chinese text and all."""
    paths = write_export(company, tmp_path / "export")
    assert {path.stem for path in paths} == set(frames(company)) - {"truth"}
    for path in paths:
        frame = getattr(company, path.stem)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == frame.height, path.name
        for column in (name for name, kind in frame.schema.items() if kind == pl.String):
            assert [row[column] or None for row in rows] == frame[column].to_list(), (path.name, column)
    opportunities = pl.read_csv(tmp_path / "export" / "opportunities.csv", try_parse_dates=True)
    assert (
        opportunities["created_at"]
        .dt.replace_time_zone(None)
        .cast(pl.Datetime("us"))
        .equals(company.opportunities["created_at"].dt.replace_time_zone(None))
    )
    assert opportunities["amount"].equals(company.opportunities["amount"])
    assert opportunities["next_step"].str.contains(r"\p{Han}").any()


def test_headings_are_our_own_columns(company):
    """Each file's headings are columns of its record; only custom fields are not."""
    kinds = {name: PLURALS.get(name, name.removesuffix("s")) for name in set(frames(company)) - NOT_RECORDS}
    for name, kind in kinds.items():
        own = {column.name for column in RECORD_KINDS[kind].__table__.columns}
        extra = set(getattr(company, name).columns) - own
        assert extra == (CUSTOM_FIELDS if name == "opportunities" else set()), name
    assert set(company.field_changes.columns) < {column.name for column in Change.__table__.columns}
    assert company.stage_changes.columns == ["opportunity_id", "changed_at", "stage", "person_id"]
    assert set(kinds.values()) == set(RECORD_KINDS) - {"contact", "pipeline"}


@pytest.mark.parametrize(
    ("until", "options", "message"),
    [
        (datetime(2026, 11, 1), {}, "time zone"),  # noqa: DTZ001 - the point of it
        (UNTIL, {"opportunities": 99}, "99"),
        (UNTIL, {"signal": 1.5}, "1.5"),
        (UNTIL, {"regulars": -3}, "-3"),
    ],
)
def test_impossible_arguments_are_refused(until, options, message):
    """The message names the value that can't be used."""
    with pytest.raises(InputError, match=message):
        simulate_company(1, until, **options)
