"""What trainings of every model print, in the language of FORECAST_LANGUAGE."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from forecast.cli.phrases import say
from forecast.cli.screen import console, output
from forecast.settings import read_settings
from forecast.wording import say_training

if TYPE_CHECKING:
    from forecast.registry import Version
    from training.gates import Gate
    from training.release import Release


def told(sentence: str) -> str:
    """Say what training found, a sentence that versions keep in English."""
    return say_training(sentence, read_settings().language)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print what a reader of the figures must know, a line each."""
    for warning in warnings:
        console.print(f"[yellow]{say('warning: ')}[/yellow]{escape(told(warning))}")


def print_gates(gates: "Iterable[Gate]") -> None:
    """Print what each gate asked and found, a line each."""
    for gate in gates:
        passed = f"[green]{say('passed')}[/green]" if gate.passed else f"[red]{say('failed')}[/red]"
        line = say(
            "gate {number} {passed}: {name}: {found}",
            number=gate.number,
            passed=passed,
            name=escape(told(gate.name)),
            found=escape(told(gate.sentence)),
        )
        console.print(line)


def held_back(release: "Release[Any]") -> "Version[Any] | None":
    """Give the version that passed its gates and was not served, as was asked; None of another run."""
    return release.run.candidate if release.run.promotable and release.released is None else None


def say_verdict(verdict: str, held: "Version[Any] | None") -> str:
    """Say how a run ended; of a version that is held back, how it can be served."""
    if held is None:
        return told(verdict)
    return say(
        "every gate passed; not promoted, as was asked: `forecast promote {version} --model {model}` serves it",
        version=held.version,
        model=held.name,
    )


def print_verdict(release: "Release[Any]", gates: "Iterable[Gate]") -> None:
    """Print how a run of any model ended: its gates, the verdict and what is live."""
    print_gates(gates)
    output.print(escape(say_verdict(release.run.verdict, held_back(release))))
    output.print(say("live: {live}; written to {folder}", live=release.live or say("none"), folder=release.folder))
