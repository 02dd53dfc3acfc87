"""The notebook of customer tiers runs from its first cell to its last."""

import pytest

from forecast.registry import find_live
from forecast.settings import Settings
from tests.notebooks import run_notebook


@pytest.mark.filterwarnings("ignore")
def test_customer_tiers_go_from_purchases_to_a_version_that_serves(server, empty_mlflow, tmp_path, monkeypatch):
    """Its cells import a bare file of purchases, train, judge and score; what is live is what the gates decided."""
    notebook = run_notebook(
        "02_customer_tiers",
        {"OPPORTUNITIES = 4000": "OPPORTUNITIES = 400"},
        server=server,
        empty_mlflow=empty_mlflow,
        home=tmp_path,
        monkeypatch=monkeypatch,
    )
    card = notebook.cells[-1].outputs[0].data["text/markdown"]
    assert card.startswith("# customer_tier, version ")
    live = find_live(Settings(home=tmp_path).models_folder, "customer_tier")
    assert live["version"] in card
