"""Notebooks run from their first cell to their last, and hold no logic of their own."""

import ast

import nbformat
import pytest

from forecast.registry import find_live
from forecast.settings import Settings
from tests.notebooks import FOLDER, run_notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.Try)


def code_cells(notebook):
    """Give the sources of a notebook's code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def read(path):
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def test_the_rules_see_the_notebooks():
    """The rules below look at real notebooks; an empty list would satisfy them all."""
    assert FOLDER / "01_win_probability.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_hold_no_logic(path):
    """What a notebook does, the packages can do: no functions, classes, loops or branches, and no stored output."""
    notebook = read(path)
    nodes = [node for source in code_cells(notebook) for node in ast.walk(ast.parse(source))]
    assert [ast.unparse(node) for node in nodes if isinstance(node, LOGIC)] == []
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.filterwarnings("ignore")
def test_win_probability_goes_from_an_export_to_a_version_that_serves(server, empty_mlflow, tmp_path, monkeypatch):
    """Ten cells import a small company, train, judge and score; what is live afterwards is what the gates decided."""
    notebook = run_notebook(
        "01_win_probability",
        {"OPPORTUNITIES, TRIALS = 4000, 10": "OPPORTUNITIES, TRIALS = 400, 1"},
        server=server,
        empty_mlflow=empty_mlflow,
        home=tmp_path,
        monkeypatch=monkeypatch,
    )
    assert len(code_cells(notebook)) == 10
    live = find_live(Settings(home=tmp_path).models_folder, "win_probability")
    (verdict,) = [
        out.data["text/plain"]
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "promoted: " in str(out.get("data"))
    ][:1]
    assert live["why"] == ast.literal_eval(verdict)
    card = notebook.cells[-1].outputs[0].data["text/markdown"]
    assert card.startswith("# win_probability, version ")
