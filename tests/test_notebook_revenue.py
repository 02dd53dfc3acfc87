"""The notebook of the revenue forecast runs from its first cell to its last."""

import pytest

from forecast.registry import find_live
from forecast.settings import Settings
from tests.notebooks import run_notebook


@pytest.mark.filterwarnings("ignore")
def test_revenue_goes_from_records_to_a_version_that_serves(server, empty_mlflow, tmp_path, monkeypatch):
    """Its cells import an export, train, judge and forecast; what is live is what the gates decided."""
    notebook = run_notebook(
        "03_revenue_forecast",
        {"OPPORTUNITIES = 4000": "OPPORTUNITIES = 400", "ORIGINS = 14": "ORIGINS = 6"},
        server=server,
        empty_mlflow=empty_mlflow,
        home=tmp_path,
        monkeypatch=monkeypatch,
    )
    card = notebook.cells[-1].outputs[0].data["text/markdown"]
    assert card.startswith("# revenue_forecast, version ")
    live = find_live(Settings(home=tmp_path).models_folder, "revenue_forecast")
    assert live["version"].removesuffix("-prior") in card
