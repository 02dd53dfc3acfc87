from dataclasses import replace

import pytest
from learning import EXPERIMENT, draw_dataset

from training.cautions import data_warnings, too_little


@pytest.mark.parametrize(("population", "records"), [("opportunity", "opportunities"), ("lead", "leads")])
def test_a_run_speaks_of_what_it_learns_from(population, records):
    """A run on leads says leads."""
    experiment = replace(EXPERIMENT, population=population)
    assert f"3 won and 5 lost {records} are known" in too_little((3, 5), experiment)
    assert f"only 50 won and 70 lost {records}:" in data_warnings(draw_dataset(), experiment, (50, 70))[0]
