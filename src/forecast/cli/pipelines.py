"""forecast pipelines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import say, say_moment
from forecast.cli.screen import AsOf, console, moment_of, now, output, transaction
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.process import PipelineDefinition, StageDefinition

ACTOR = "command line"
_DAYS = "days: how long deals usually stay; quiet: for how many days they may be quiet"

pipelines = typer.Typer(help="The sales process: stages, and what each asks for.", no_args_is_help=True)

PipelineId = Annotated[str, typer.Argument(metavar="[ID]", help="Id of the pipeline.")]


@pipelines.command()
def show(
    pipeline_id: PipelineId = "default",
    as_of: AsOf = None,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="As TOML to edit and set; stages in use that it lacks are in it.")
    ] = False,
) -> None:
    """Print a pipeline as it is, or as it was known at a moment."""
    from forecast.process import draft_pipeline, get_pipeline, is_stored, pipeline_toml, unknown_stages

    settings = read_settings()
    with transaction(settings) as session:
        if as_toml and as_of is None:
            output.print(pipeline_toml(draft_pipeline(session, pipeline_id)), markup=False, end="")
            return
        pipeline = get_pipeline(session, pipeline_id, moment_of(as_of, settings) if as_of else None)
        unknown = unknown_stages(session, pipeline) if as_of is None else []
        stored = is_stored(session, pipeline_id)
    if as_toml:
        output.print(pipeline_toml(pipeline), markup=False)
    else:
        output.print(_table(pipeline, settings.language))
    if not stored:
        console.print(
            say("this is the pipeline that Forecast ships; `forecast pipelines set FILE.toml` stores your own")
        )
    for use in unknown:
        console.print(
            f"[yellow]{say('not in it:')}[/yellow] "
            + say(
                'stage "{stage}" of {count} opportunities, {open} open',
                stage=escape(use.stage),
                count=use.count,
                open=use.open_count,
            )
        )


def _table(pipeline: "PipelineDefinition", language: str) -> RenderableType:
    title = f"{pipeline.id}: {pipeline.name}" if pipeline.name else pipeline.id
    headings = ("", "stage", "kind", "days", "quiet", "required", "what to do")
    columns = (
        Column(say(heading) if heading else "", overflow="fold") for heading in headings
    )  # Chinese has no spaces to break at
    table = Table(
        *columns, title=escape(title), title_justify="left", caption=say(_DAYS), caption_justify="left", box=SIMPLE
    )
    for position, stage in enumerate(pipeline.stages, start=1):
        table.add_row(str(position), *_cells(stage, language))
    return table


def _cells(stage: "StageDefinition", language: str) -> tuple[str, ...]:
    playbook = stage.playbook_zh if language == "zh" else stage.playbook_en
    days = (f"{number:g}" if number else "" for number in (stage.usual_days, stage.quiet_days_max))
    return escape(stage.name), say(stage.kind), *days, escape("\n".join(stage.required_fields)), escape(playbook or "")


_ACTS = frozenset({"added", "removed"})  # beside these, what changed is a field


@pipelines.command("set")
def set_from_file(file: Annotated[Path, typer.Argument(help="TOML as `show --toml` prints it.")]) -> None:
    """Store a pipeline; what it changes is known from now on, earlier moments keep what they had."""
    from forecast.process import opportunity_custom_fields, read_pipeline_file, set_pipeline

    with transaction(read_settings()) as session:
        pipeline = read_pipeline_file(file, opportunity_custom_fields(session))
        changes = set_pipeline(session, pipeline, by=ACTOR, at=now())
    told = "pipeline {id} has {count} stages; {changes} changes"
    console.print(say(told, id=pipeline.id, count=len(pipeline.stages), changes=changes), markup=False)


@pipelines.command()
def history(pipeline_id: PipelineId = "default") -> None:
    """List what changed of a pipeline and when, newest first."""
    from forecast.process import pipeline_history

    table = Table(*map(say, ("when", "stage", "what changed", "before", "now")))
    with transaction(read_settings()) as session:
        for change in pipeline_history(session, pipeline_id):
            cells = (
                change.stage or "",
                say(change.field) if change.field in _ACTS else change.field,
                change.old or "",
                change.new or "",
            )
            table.add_row(say_moment(change.changed_at), *map(escape, cells))
    output.print(table if table.rows else say("nothing changed since it was first set"))
