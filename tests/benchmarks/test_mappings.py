import tomllib
from pathlib import Path

import pytest

import benchmarks
from benchmarks.sets import WIN_SETS
from forecast.records import Opportunity

MAPPINGS = Path(benchmarks.__file__).parent / "mappings"
FORBIDDEN = ("split", "as_of", "won_at_any", "row", "stage_at_export", "lead_id")


@pytest.mark.parametrize("name", WIN_SETS)
def test_mapping_leads_to_columns_that_exist(name):
    """Every heading goes to a column of ours, a custom field with a type, or nowhere."""
    mapping = tomllib.loads((MAPPINGS / f"{name}.toml").read_text())
    targets = set(mapping["columns"].values()) - {"ignore"}
    custom = {target.removeprefix("custom.") for target in targets if target.startswith("custom.")}
    assert {target for target in targets if not target.startswith("custom.")} <= set(
        Opportunity.__table__.columns.keys()
    )
    assert custom == set(mapping.get("types", {}))
    assert {"external_id", "status"} <= targets


@pytest.mark.parametrize("name", WIN_SETS)
def test_what_protocols_exclude_is_ignored(name):
    """What tells the outcome, the split, or was made for the peers never reaches the product."""
    columns = tomllib.loads((MAPPINGS / f"{name}.toml").read_text())["columns"]
    excluded = [heading for heading in columns if heading in FORBIDDEN or heading.startswith("asof_")]
    assert excluded
    assert {columns[heading] for heading in excluded} == {"ignore"}
