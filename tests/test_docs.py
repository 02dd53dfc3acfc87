import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

from forecast.cli import app
from forecast.intake.mapping import Mapping, make_mapping
from forecast.intake.vocabulary import KINDS
from training.config import GateRules, read_experiment
from training.gates import Judged, decide_gates

CHECKOUT = Path(__file__).parent.parent
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "models").rglob("*.md")])
TRANSLATED = ["README", "docs/guide"]
GUIDES = ["docs/guide.md", "docs/guide.zh-CN.md"]
GATES_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


def page(name):
    """Read a page by its path in the checkout."""
    return (CHECKOUT / name).read_text(encoding="utf-8")


def fenced_blocks(text) -> list[Block]:
    """List the fenced blocks of a page, in order."""
    return [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)]


def without_blocks(text):
    """Give a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text):
    """List (level, heading) of a page, in order."""
    return [(len(signs), words) for signs, words in re.findall(r"^(#+) (.+)$", without_blocks(text), re.MULTILINE)]


def anchor(heading):
    """Give the fragment under which GitHub shows a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links(text):
    """List the targets of a page's relative links."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def commands(group, name="forecast") -> Iterator[str]:
    """Give every command and sub-command that can be run, in words."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}"


COMMANDS = sorted(commands(typer.main.get_command(app)))


def command_lines(text):
    """List what shell blocks tell to run that begins with `forecast`, comments left out."""
    lines = [
        line for block in fenced_blocks(text) if block.language in {"bash", "sh"} for line in block.text.splitlines()
    ]
    inner = [found for line in lines for found in re.findall(r"\$\((forecast [^)]*)\)", line)]
    return [shlex.split(line, comments=True) for line in [*lines, *inner] if line.startswith("forecast ")]


def refusal(words):
    """Say why a command line can't be run; empty where it can. Its help is asked for, so that nothing runs."""
    result = CliRunner().invoke(app, [*words[1:], "--help"])
    return result.output if result.exit_code else ""


COMMAND_LINES = [
    pytest.param(words, id=f"{path.relative_to(CHECKOUT)}: {' '.join(words)}")
    for path in PAGES
    for words in command_lines(path.read_text(encoding="utf-8"))
]


def judged(*, live):
    """Give rows that were judged, beside a live version or none."""
    generator = np.random.default_rng(7)
    ours = generator.uniform(0.05, 0.95, 400)
    won = (generator.random(400) < ours).astype(float)
    even = np.full(400, won.mean())
    rows = Judged(
        won=won,
        weight=np.ones(400),
        groups=np.arange(400),
        ours=ours,
        prior=even,
        clock=even,
        logistic=ours,
        live=None,
    )
    return replace(rows, live=ours) if live else rows


@pytest.fixture(scope="module")
def rules() -> GateRules:
    """Read the bounds of the gates in force."""
    return read_experiment(CHECKOUT / "models", "win_probability").gates


def test_the_rules_see_the_pages():
    """The rules below look at real pages; an empty list would satisfy them all."""
    assert {CHECKOUT / name for name in ("README.md", "CHANGELOG.md", *GUIDES)} <= set(PAGES)
    assert {"forecast train", "forecast keys create"} <= set(COMMANDS)
    assert ["forecast", "keys", "create", "crm"] in command_lines(page("README.md"))
    assert "guide.zh-CN.md" in links(page("docs/guide.md"))


@pytest.mark.parametrize("live", [True, False])
def test_every_gate_is_documented(rules, live):
    """Each gate has its row in docs/gates.md, under its number, and no row is left without its gate."""
    decided = {str(gate.number): gate.name for gate in decide_gates(judged(live=live), rules, seed=1)}
    documented = dict(GATES_ROW.findall(page("docs/gates.md")))
    assert decided.items() <= documented.items()
    assert not live or decided == documented


@pytest.mark.parametrize("name", [field.name for field in fields(GateRules)])
def test_every_bound_is_documented_as_it_is(rules, name):
    """Each bound of config.toml stands in docs/gates.md with the value in force."""
    assert f"`{name} = {getattr(rules, name)}`" in page("docs/gates.md")


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_guide(guide, command):
    """Whoever reads the guide has met every command and sub-command."""
    assert re.search(rf"\b{command}\b", page(guide)), f"say in {guide} what `{command}` is for"


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_command_lines_can_be_run(words):
    """Every command line in a shell block names a command and options that exist."""
    assert refusal(words) == ""


@pytest.mark.parametrize("words", [["forecast", "trian"], ["forecast", "score", "--when", "now"]])
def test_a_command_line_that_cannot_be_run_is_noticed(words):
    """A wrong command and an unknown option are refused."""
    assert "No such" in refusal(words)


@pytest.mark.parametrize("name", TRANSLATED)
def test_translations_have_the_same_sections(name):
    """A section that is added to one language is added to the other."""
    english, chinese = (headings(page(f"{name}{ending}")) for ending in (".md", ".zh-CN.md"))
    assert [level for level, _ in english] == [level for level, _ in chinese]


@pytest.mark.parametrize("name", TRANSLATED)
def test_translations_have_the_same_blocks(name):
    """Commands, files and output are the same in both languages."""
    assert fenced_blocks(page(f"{name}.md")) == fenced_blocks(page(f"{name}.zh-CN.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(path):
    """Every relative link names a file that is there, and a heading that is in it."""
    for target in links(path.read_text(encoding="utf-8")):
        name, _, fragment = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), f"{target} is not there"
        assert not fragment or fragment in {anchor(words) for _, words in headings(found.read_text(encoding="utf-8"))}


def test_every_decision_is_in_the_index():
    """A page of a decision that the index does not name is not found."""
    written = {path.name for path in (CHECKOUT / "docs" / "decisions").glob("[0-9]*.md")}
    assert written <= set(links(page("docs/decisions/README.md")))


@pytest.mark.parametrize("guide", GUIDES)
def test_the_mapping_in_the_guide_can_be_used(guide):
    """The mapping shown is a valid one, and has every key that a mapping may have."""
    (shown,) = [tomllib.loads(block.text) for block in fenced_blocks(page(guide)) if block.language == "toml"]
    make_mapping(shown)
    assert set(shown) == {field.name for field in fields(Mapping)}


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_record_is_in_the_guide(guide, kind):
    """Whoever prepares files finds each kind that can be imported."""
    assert f"`{kind}`" in page(guide)


@pytest.mark.parametrize("guide", GUIDES)
def test_python_in_the_guide_imports_what_exists(guide):
    """Every name that the guide's Python takes from our packages is there."""
    trees = [ast.parse(block.text) for block in fenced_blocks(page(guide)) if block.language == "python"]
    taken = [
        (node.module, alias.name)
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert taken
    for module, name in taken:
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"
