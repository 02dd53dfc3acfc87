from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import sqlalchemy as sa

from forecast.demo import simulate_company
from forecast.errors import FileError, InputError, NotFoundError
from forecast.export import write_export
from forecast.features import FeaturePlan, opportunity_features
from forecast.history import read_history
from forecast.intake import import_files
from forecast.process import (
    PipelineDefinition,
    StageDefinition,
    default_pipeline,
    draft_pipeline,
    get_pipeline,
    make_pipeline,
    pipeline_history,
    pipeline_toml,
    read_pipeline_file,
    read_pipelines,
    read_stages,
    set_pipeline,
    unknown_stages,
)
from forecast.records import AuditEvent, Change, Opportunity, Stage
from forecast.snapshot import take_snapshot
from forecast.snapshot.stages import stages_then
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SMALL = PipelineDefinition(
    id="default",
    name="Small",
    stages=(
        StageDefinition(
            name="Talk", kind="open", usual_days=2.5, quiet_days_max=7, required_fields=("amount", "next_step")
        ),
        StageDefinition(name="Offer", kind="open", playbook_en='Say "why us"', playbook_zh="说明\n理由"),
        StageDefinition(name="Won", kind="won"),
        StageDefinition(name="Lost", kind="lost"),
    ),
)
TALK, OFFER, WON, LOST = SMALL.stages
DEMO = StageDefinition(name="Demo", kind="open")


def put(engine, *stages, at=NOW, **changes):
    """Set the small pipeline with these stages; give how much changed."""
    with unit_of_work(engine) as session:
        return set_pipeline(session, replace(SMALL, stages=stages, **changes), by="ann", at=at)


def names(engine, as_of=None):
    """Give the stages of the pipeline as known at a moment."""
    with unit_of_work(engine) as session:
        return [stage.name for stage in get_pipeline(session, "default", as_of).stages]


def test_the_shipped_pipeline_is_whole():
    """It leads from a lead to won or lost, and each open stage says how long, how quiet and what to do in both languages."""
    shipped = default_pipeline()
    assert [stage.name for stage in shipped.stages] == [
        "Lead identified", "Contacted", "Needs analysed", "Solution", "Quoted", "Negotiation", "Contract", "Won", "Lost",
    ]  # fmt: skip
    for stage in shipped.stages:
        assert stage.playbook_en
        assert stage.playbook_zh
        assert stage.kind != "open" or (stage.usual_days and stage.quiet_days_max)


def test_the_simulated_company_works_by_the_shipped_pipeline():
    """Its stages have the same names, kinds and days."""
    stages = simulate_company(1, NOW, opportunities=100).stages
    columns = ("name", "kind", "usual_days", "quiet_days_max")
    assert stages.select(columns).rows() == [
        tuple(getattr(stage, column) for column in columns) for stage in default_pipeline().stages
    ]


def test_a_company_that_set_none_has_the_shipped_one(engine):
    """Nothing need be stored to read it."""
    with unit_of_work(engine) as session:
        assert read_pipelines(session) == (default_pipeline(),)
        with pytest.raises(NotFoundError, match="there are: default"):
            get_pipeline(session, "renewals")


def test_what_is_set_is_read(engine):
    """Every value comes back, under its pipeline."""
    put(engine, *SMALL.stages)
    put(engine, *SMALL.stages[1:], id="renewals")
    with unit_of_work(engine) as session:
        small, renewals = read_pipelines(session)
    assert small == SMALL
    assert (renewals.id, [stage.name for stage in renewals.stages]) == ("renewals", ["Offer", "Won", "Lost"])


def test_setting_the_same_again_changes_nothing(engine):
    """No change is written where nothing changed."""
    assert put(engine, *SMALL.stages) == 5
    assert put(engine, *SMALL.stages, at=NOW + DAY) == 0
    with unit_of_work(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Change)) == 0
        assert session.scalars(sa.select(AuditEvent.action)).all() == ["set"]


def test_every_moment_has_the_pipeline_of_its_time(engine):
    """Stages that were added, moved, changed, removed and brought back are as they were strictly before the moment."""
    put(engine, TALK, OFFER, WON, LOST)
    put(engine, TALK, DEMO, OFFER, WON, LOST, at=NOW + DAY)
    put(engine, DEMO, replace(OFFER, quiet_days_max=3), WON, LOST, name="Leaner", at=NOW + 2 * DAY)
    put(engine, TALK, DEMO, OFFER, WON, LOST, at=NOW + 3 * DAY)
    first, second, third = (
        ["Talk", "Offer", "Won", "Lost"],
        ["Talk", "Demo", "Offer", "Won", "Lost"],
        ["Demo", "Offer", "Won", "Lost"],
    )
    assert names(engine, NOW - 100 * DAY) == first, "what was known first is known from the beginning"
    assert names(engine, NOW + DAY) == first, "a change is not known at its very moment"
    assert names(engine, NOW + DAY + timedelta(microseconds=1)) == second
    assert names(engine, NOW + 3 * DAY) == third
    assert names(engine, NOW + 4 * DAY) == names(engine) == second
    with unit_of_work(engine) as session:
        then = get_pipeline(session, "default", NOW + 3 * DAY)
    assert (then.name, then.stages[1].quiet_days_max) == ("Leaner", 3)


def places(engine, *, until=None, **moments):
    """Give the position of each of these stages at the moment beside it."""
    with unit_of_work(engine) as session:
        stages = read_history(session, until=until).stages
    rows = pl.DataFrame({"stage": list(moments), "as_of": list(moments.values()), "pipeline_id": "default"})
    return stages_then(rows, stages)["position"].to_list()


def test_snapshots_see_the_stages_of_their_time(engine):
    """A place is that of the row's moment; a removed stage keeps its last place, a later one was unknown."""
    put(engine, TALK, OFFER, WON, LOST)
    put(engine, DEMO, TALK, WON, LOST, at=NOW + DAY)
    then, later = NOW - 100 * DAY, NOW + 2 * DAY
    assert places(engine, Talk=then, Offer=then, Demo=then) == [1, 2, None]
    assert places(engine, Talk=NOW + DAY, Offer=later, Demo=later) == [1, 2, 1]
    assert places(engine, Talk=NOW + DAY + timedelta(microseconds=1)) == [2]
    assert places(engine, until=NOW + DAY, Talk=later, Demo=later) == [1, None]


def test_a_company_that_changes_its_pipeline_keeps_what_its_old_deals_went_through(engine):
    """Steps ahead, back and over a stage are counted by the pipeline of each move, not by the one of today."""
    put(engine, TALK, DEMO, OFFER, WON, LOST)
    deals(engine, ("won", "Talk", "Demo", "Offer"), ("won", "Talk", "Offer"))
    put(engine, OFFER, TALK, WON, LOST, at=NOW + 10 * DAY)
    with unit_of_work(engine) as session:
        moved = Change(kind="opportunity", record_id="O1", field="stage", origin="import")
        moved.changed_at, moved.new_value = NOW + 11 * DAY, "Talk"
        session.add(moved)
    with unit_of_work(engine) as session:
        history = read_history(session)
    subjects = pl.DataFrame(
        {"opportunity_id": ["O0", "O1", "O0", "O1"], "as_of": [NOW + 9 * DAY] * 2 + [NOW + 12 * DAY] * 2}
    )
    found = opportunity_features(take_snapshot(history, subjects), FeaturePlan())
    assert found["stage_position"].to_list() == [3.0, 3.0, 1.0, 2.0]
    assert found["stage_backward_count"].to_list() == [0.0] * 4
    assert found["stage_skip_count"].to_list() == [0.0, 1.0, 0.0, 1.0]


def test_a_stage_of_no_known_pipeline_is_looked_up_in_the_others(engine):
    """Of a name that several pipelines have, the first place counts; a pipeline that has stages knows its own only."""
    put(engine, OFFER, TALK, WON, LOST, id="a")
    put(engine, TALK, WON, LOST, id="b")
    with unit_of_work(engine) as session:
        stages = read_stages(session)
    rows = pl.DataFrame(
        {"stage": ["Talk", "Talk", "Offer", "Offer"], "pipeline_id": ["x", "a", "x", "b"], "as_of": [NOW] * 4}
    )
    assert stages_then(rows, stages)["position"].to_list() == [1, 2, 1, None]


def test_imported_stages_keep_their_ids_and_history(engine):
    """A stage of the same name is the same record, whatever its id; a change says what stood before."""
    with unit_of_work(engine) as session:
        session.add(Stage(id="S1", external_id="S1", name="Talk", position=1, kind="open", usual_days=4.0))
    put(engine, *SMALL.stages)
    with unit_of_work(engine) as session:
        changes = session.execute(
            sa.select(Change.record_id, Change.field, Change.old_value, Change.new_value).order_by(Change.field)
        ).all()
        assert session.scalar(sa.select(sa.func.count()).where(Stage.name == "Talk")) == 1
    assert changes == [
        ("S1", "quiet_days_max", None, "7"), ("S1", "required_fields", None, "amount, next_step"), ("S1", "usual_days", "4", "2.5"),
    ]  # fmt: skip
    assert names(engine, NOW) == ["Talk"]


def test_the_history_says_what_changed_when(engine):
    """Newest first: fields with both values, stages added and removed."""
    put(engine, TALK, OFFER, WON, LOST)
    put(engine, replace(TALK, quiet_days_max=5), WON, LOST, at=NOW + DAY)
    put(engine, replace(TALK, quiet_days_max=5), DEMO, WON, LOST, at=NOW + 2 * DAY)
    with unit_of_work(engine) as session:
        told = [(c.changed_at, c.stage, c.field, c.old, c.new) for c in pipeline_history(session, "default")]
    assert told == [
        (NOW + 2 * DAY, "Won", "position", "2", "3"),
        (NOW + 2 * DAY, "Lost", "position", "3", "4"),
        (NOW + 2 * DAY, "Demo", "added", None, None),
        (NOW + DAY, "Won", "position", "3", "2"),
        (NOW + DAY, "Talk", "quiet_days_max", "7", "5"),
        (NOW + DAY, "Offer", "removed", None, None),
        (NOW + DAY, "Lost", "position", "4", "3"),
    ]


@pytest.mark.parametrize("pipeline", [default_pipeline(), SMALL])
def test_toml_reads_back_as_written(tmp_path, pipeline):
    """Quotes, newlines and Chinese too."""
    file = tmp_path / "pipeline.toml"
    file.write_text(pipeline_toml(pipeline), encoding="utf-8")
    assert read_pipeline_file(file, ()) == pipeline


def values(**changes):
    """Give the small pipeline as somebody writes it, its first stage changed."""
    stages = [{"name": "Talk", "kind": "open"}, {"name": "Won", "kind": "won"}, {"name": "Lost", "kind": "lost"}]
    stages[0] |= changes.pop("first", {})
    return {"id": "default", "stages": stages} | changes


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"first": {"kind": "opened"}}, "stages.0.kind.*'opened'"),
        ({"first": {"quiet_days_max": 0}}, "stages.0.quiet_days_max"),
        ({"first": {"usual_days": -1}}, "stages.0.usual_days"),
        ({"first": {"playbok_en": "x"}}, "stages.0.playbok_en"),
        ({"first": {"name": "Won"}}, "Won comes twice"),
        ({"first": {"kind": "won"}}, "no stage of kind open"),
        ({"first": {"required_fields": ["amont"]}}, 'no field "amont".*amount'),
        ({"first": {"required_fields": ["status"]}}, 'no field "status"'),
        ({"first": {"required_fields": ["custom.budget"]}}, 'no field "custom.budget"'),
        ({"stages": []}, "open, won, lost"),
        ({"id": ""}, "id"),
        ({"steps": []}, "steps"),
    ],
)
def test_what_is_no_pipeline_is_refused(wrong, said):
    """The message names the place, what was found and what is known."""
    with pytest.raises(InputError, match=said):
        make_pipeline(values(**wrong), ())


def test_declared_custom_fields_can_be_required():
    """By the name under which rules and changes know them."""
    given = values(first={"required_fields": ["custom.budget", "amount"]})
    assert make_pipeline(given, ["budget"]).required_by("Talk") == ("custom.budget", "amount")


@pytest.mark.parametrize(("text", "said"), [("id = ", "is no TOML"), (None, "can't be read")])
def test_files_that_are_no_toml_are_named(tmp_path, text, said):
    """A missing or broken file says so."""
    file = tmp_path / "pipeline.toml"
    if text:
        file.write_text(text)
    with pytest.raises(FileError, match=said):
        read_pipeline_file(file, ())


def test_what_a_stage_requires_includes_what_those_before_it_do():
    """A later stage asks for everything asked so far; one that is closed or unknown asks for nothing."""
    assert SMALL.required_by("Offer") == ("amount", "next_step")
    assert SMALL.required_by("Won") == SMALL.required_by("elsewhere") == ()


def deals(engine, *rows):
    """Store opportunities by stage and status, each with the stages that it entered."""
    with unit_of_work(engine) as session:
        for number, (status, *stages) in enumerate(rows):
            session.add(Opportunity(id=f"O{number}", external_id=f"O{number}", status=status, stage=stages[-1]))
            for day, stage in enumerate(stages):
                change = {"kind": "opportunity", "record_id": f"O{number}", "field": "stage", "origin": "import"}
                session.add(Change(**change, changed_at=NOW + day * DAY, new_value=stage))


def test_a_draft_is_made_of_the_stages_in_use(engine):
    """A company with stages of its own gets these, in the order in which deals enter them, ends last."""
    deals(
        engine,
        ("open", "Zeroth", "Middle"),
        ("won", "Zeroth", "Middle", "Signed"),
        ("lost", "Zeroth", "Dropped"),
        ("open", "Zeroth"),
    )
    with unit_of_work(engine) as session:
        draft = draft_pipeline(session, "default")
    assert [(stage.name, stage.kind) for stage in draft.stages] == [
        ("Zeroth", "open"), ("Middle", "open"), ("Dropped", "lost"), ("Signed", "won"),
    ]  # fmt: skip


def test_a_draft_adds_what_a_stored_pipeline_lacks(engine):
    """Stages in use that are not in it come behind the open ones; those without an end get the shipped ends."""
    put(engine, *SMALL.stages)
    deals(engine, ("open", "Talk", "Pilot"), ("open", "Talk"))
    with unit_of_work(engine) as session:
        draft = draft_pipeline(session, "default")
        (use,) = unknown_stages(session, SMALL)
    assert [stage.name for stage in draft.stages] == ["Talk", "Offer", "Pilot", "Won", "Lost"]
    assert (use.stage, use.count, use.open_count) == ("Pilot", 1, 1)


def test_the_history_of_a_pipeline_imports_as_it_was_exported(engine, tmp_path):
    """A removal is written as PostgreSQL prints moments, so that no change is new when it is imported again."""
    at = NOW.replace(microsecond=120)
    with unit_of_work(engine) as session:
        set_pipeline(session, SMALL, by="test", at=NOW - DAY)
        set_pipeline(session, replace(SMALL, name="Smaller", stages=SMALL.stages[1:]), by="test", at=at)
        write_export(session, "change", tmp_path / "change.csv")
    (report,) = import_files(engine, [tmp_path / "change.csv"], imported_at=NOW, rejects_folder=tmp_path).reports
    assert (report.new, report.rejected) == (0, 0)
    assert report.unchanged == 5


def test_an_unknown_pipeline_has_no_history(engine):
    """Asking for it is an error that names those there are, not an empty list."""
    with unit_of_work(engine) as session, pytest.raises(NotFoundError, match="default"):
        pipeline_history(session, "defualt")
