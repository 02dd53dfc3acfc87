"""The notebook of the revenue forecast runs from its first cell to its last."""

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from forecast.registry import find_live
from forecast.settings import Settings

FOLDER = Path(__file__).parent.parent / "notebooks"


@pytest.mark.filterwarnings("ignore")
def test_revenue_goes_from_records_to_a_version_that_serves(server, empty_mlflow, tmp_path, monkeypatch):
    """Its cells import an export, train, judge and forecast; what is live is what the gates decided."""
    notebook = nbformat.read(FOLDER / "03_revenue_forecast.ipynb", as_version=4)
    small = notebook.cells[1].source.replace("OPPORTUNITIES = 4000", "OPPORTUNITIES = 400")
    small = small.replace("ORIGINS = 14", "ORIGINS = 6")
    assert "= 400\n" in small
    assert "= 6\n" in small
    notebook.cells[1].source = small
    with server.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE notebook_revenue")
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    url = server.url.set(database="notebook_revenue").render_as_string(hide_password=False)
    monkeypatch.setenv("FORECAST_DATABASE_URL", url)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(part for part in sys.path if part))
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    card = notebook.cells[-1].outputs[0].data["text/markdown"]
    assert card.startswith("# revenue_forecast, version ")
    live = find_live(Settings(home=tmp_path).models_folder, "revenue_forecast")
    assert live["version"].removesuffix("-prior") in card
