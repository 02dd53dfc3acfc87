"""Run the notebooks as a data scientist does, in a home and a database of their own."""

import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


def run_notebook(name, shrunk, *, server, empty_mlflow, home, monkeypatch):
    """Run a notebook from its first cell to its last, its first code cell with smaller numbers; give what it holds then.

    Args:
        name: of the file, without its ending.
        shrunk: what stands in the first code cell, and what instead.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for large, small in shrunk.items():
        assert large in notebook.cells[1].source
        notebook.cells[1].source = notebook.cells[1].source.replace(large, small)
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    shutil.copy(empty_mlflow, home / "mlflow.db")
    monkeypatch.setenv("FORECAST_HOME", str(home))
    monkeypatch.setenv("FORECAST_DATABASE_URL", server.url.set(database=name).render_as_string(hide_password=False))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(part for part in sys.path if part))
    NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    return notebook
