"""forecast duplicates, merge and unmerge."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Column, Table

from forecast.cli.phrases import say, say_moment, say_refusal
from forecast.cli.screen import console, now, output, transaction, writable
from forecast.settings import read_settings
from forecast.wording import Language

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from forecast.records import Merge

PAIRS_SHOWN = 30
ACTOR = "command line"


def duplicates(
    kind: Annotated[Literal["accounts", "leads"], typer.Argument(help="What to look through.")],
    out: Annotated[Path | None, typer.Option(callback=writable, help="Write all pairs to this CSV.")] = None,
    confidence_min: Annotated[
        float, typer.Option("--min", min=0, max=1, help="Leave out pairs of less confidence.")
    ] = 0.5,
) -> None:
    """Propose records that are probably the same, with reasons; nothing is merged."""
    from forecast.duplicates import find_duplicates

    settings = read_settings()
    with transaction(settings) as session:
        found = find_duplicates(session, kind.removesuffix("s"), confidence_min=confidence_min)
    language = settings.language
    if out is not None:
        _write_pairs(found, out, language)
    else:
        _print_pairs(found, kind.removesuffix("s"), language)
    count = found["group_id"].n_unique()
    told = say("{pairs} pairs in {groups} groups", pairs=found.height, groups=count)
    console.print(told + (say(" are in {path}", path=out) if out else ""), markup=False)


def _write_pairs(found: "pl.DataFrame", out: Path, language: Language) -> None:
    import polars as pl

    from forecast.duplicates import say_evidence

    reasons = [", ".join(say_evidence(one, language) for one in evidence) for evidence in found["evidence"]]
    found.drop("evidence").with_columns(pl.Series("reasons", reasons, dtype=pl.String)).write_csv(out)


def _print_pairs(found: "pl.DataFrame", kind: str, language: Language) -> None:
    from forecast.duplicates import say_evidence

    shown = found.head(PAIRS_SHOWN)
    columns = (Column(say(heading), overflow="fold") for heading in ("keep", "other", "confidence", "why"))
    table = Table(*columns, show_lines=True)
    for row in shown.iter_rows(named=True):
        table.add_row(
            escape(f"{row['id']}\n{row['name'] or ''}"),
            escape(f"{row['other_id']}\n{row['other_name'] or ''}"),
            f"{row['confidence']:.3f}",
            "\n".join(say_evidence(one, language) for one in row["evidence"]),
        )
    if shown.height:
        output.print(table)
        console.print(f"{say('merge the first group so: ')}forecast merge {kind} {_first_group(found)}", markup=False)
    if found.height > shown.height:
        console.print(
            say(
                "the first {shown} of {count} are shown; --out FILE.csv writes all",
                shown=shown.height,
                count=found.height,
            )
        )


def _first_group(found: "pl.DataFrame") -> str:
    group = found["group_id"][0]
    rows = found.filter(group_id=group)
    others = dict.fromkeys(one for one in [*rows["id"], *rows["other_id"]] if one != group)
    return shlex.join([group, *others])


def merge(
    kind: Annotated[Literal["account", "lead"], typer.Argument(help="Kind of the records.")],
    keep: Annotated[str, typer.Argument(metavar="KEEP", help="Id of the record that stays.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Ids of the records merged into it.")],
    fill: Annotated[
        list[str] | None, typer.Option(help="Field whose blank is filled from the others; may be given again; or all.")
    ] = None,
) -> None:
    """Merge records: what points at the others points at the one that stays; can be undone."""
    from forecast.merging import merge_records

    with transaction(read_settings()) as session:
        for done in merge_records(session, kind, keep_id=keep, other_ids=others, fill=fill or (), by=ACTOR, at=now()):
            console.print(_said(done), markup=False)


def _said(merge: "Merge") -> str:
    moved = ", ".join(f"{len(ids)} {name}" for name, ids in merge.details["moved"].items() if ids)
    filled = ", ".join(merge.details["filled"])
    return say(
        'merge {number}: {kind} "{merged}" into "{kept}"; repointed: {moved}; filled: {filled}; undo with: forecast unmerge {id}',
        number=merge.id,
        kind=say(merge.kind),
        merged=merge.merged_id,
        kept=merge.kept_id,
        moved=moved or say("nothing"),
        filled=filled or say("nothing"),
        id=merge.id,
    )


def unmerge(
    merge_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="Number of the merge.")] = None,
) -> None:
    """Undo a merge; without a number, list those that can be undone."""
    from forecast.merging import list_merges, undo_merge

    with transaction(read_settings()) as session:
        if merge_id is None:
            _print_merges(list_merges(session))
            return
        undone = undo_merge(session, merge_id, by=ACTOR, at=now())
    told = say("merge {number} is undone, {count} references are restored", number=merge_id, count=undone.restored)
    console.print(told, markup=False)
    for sentence in undone.left:
        console.print(f"[yellow]{say('not restored: ')}[/yellow]{escape(say_refusal(sentence))}")


def _print_merges(merges: "Sequence[Merge]") -> None:
    table = Table("id", *map(say, ("kind", "kept record", "merged record", "when", "by")))
    for one in merges:
        cells = (
            str(one.id),
            say(one.kind),
            one.kept_id,
            one.merged_id,
            say_moment(one.merged_at),
            one.merged_by,
        )
        table.add_row(*map(escape, cells))
    output.print(table if table.rows else say("no merge is in force"))
