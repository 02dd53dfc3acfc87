import math
import re
from dataclasses import replace

import numpy as np
import pytest
from learning import EXPERIMENT, MODELS, UNTIL

from training.card import write_card
from training.card_curves import BAR_CELLS
from training.card_tables import ECE_ROWS_MIN, SEGMENT_ROWS_MIN
from training.gates import decide_gates, verdict
from training.guard import Suspicion


@pytest.fixture(scope="module")
def card(run):
    """The card of a run with a warning and a feature left out."""
    odd = replace(
        run,
        warnings=["only 9 won and 8 lost opportunities"],
        suspicions=[Suspicion(feature="custom_final_price", reason="filled on 100% of closed")],
    )
    return write_card(odd, run.candidate, MODELS)


def section(card, heading):
    """Give what stands under a heading."""
    (found,) = [part for part in card.split("\n## ") if part.startswith(heading + "\n")]
    return found


def test_the_card_begins_with_the_version_and_its_verdict(card):
    """What it is and whether it may be served is read first."""
    assert card.startswith("# win_probability, version first\n\nPromoted: every gate passed.\n\n")


def test_the_human_part_is_in_the_card(card):
    """What people wrote about use and limits stands in every card, word for word."""
    assert (MODELS / "win_probability" / "card.md").read_text(encoding="utf-8").strip() in card


def test_a_model_without_a_human_part_still_has_a_card(run, tmp_path):
    """The generated part does not wait for the written one."""
    assert "## Data" in write_card(run, run.candidate, tmp_path)


def test_the_card_says_what_data_were_learnt_from(card, run):
    """The moment of knowledge, counts, digest and basis are those of the run."""
    data = section(card, "Data")
    assert f"Nothing recorded at or after {UNTIL.isoformat()} was used." in data
    assert f"{run.dataset.keys.height} snapshot rows" in data
    assert run.dataset.digest in data
    assert "Basis: own." in data


def test_the_card_of_leads_speaks_of_leads(run):
    """What was learnt from is called what it is."""
    leads = replace(run.candidate, bundle={**run.candidate.bundle, "config": 'population = "lead"'})
    assert " lost leads, " in write_card(run, leads, MODELS)


def test_the_card_has_the_figures_of_the_version_and_its_yardsticks(card, run):
    """Every figure of every yardstick is in the table, and the number of rows it was measured on."""
    accuracy = section(card, "Accuracy")
    for who in ("model", "logistic", "clock", "prior"):
        assert f"| {run.metrics[f'{who}_log_loss']:.4f} |" in accuracy
        assert f" {run.metrics[f'{who}_auc']:.4f} |" in accuracy
    assert f"On the {len(run.judged.won)} newest rows" in accuracy
    assert "live version" not in accuracy


def test_the_card_has_every_gate_with_its_number_and_sentence(run):
    """Passed and failed gates alike are listed, and the failed stand out."""
    gates = decide_gates(run.judged, replace(EXPERIMENT.gates, auc_max=0.5), seed=1)
    failed = replace(run, gates=gates, verdict=verdict(gates))
    listed = section(write_card(failed, run.candidate, MODELS), "Gates")
    for gate in gates:
        assert f"{gate.number}. {'passed' if gate.passed else '**failed**'}: {gate.name}. {gate.sentence}." in listed
    assert "9. **failed**: not too good to be true." in listed


def test_warnings_and_features_left_out_are_told(card):
    """A reader of the figures learns what is rough about them, and what the guard left out and why."""
    assert "- only 9 won and 8 lost opportunities." in section(card, "Warnings")
    assert "- `custom_final_price`: filled on 100% of closed." in section(card, "Features left out as suspicious")


def test_a_run_without_a_candidate_has_no_figures(run):
    """The card of a prior claims no accuracy and no gates."""
    early = replace(
        run,
        candidate=None,
        judged=None,
        metrics={},
        gates=[],
        warnings=[],
        suspicions=[],
        verdict="not promoted: too few",
    )
    card = write_card(early, run.prior, MODELS)
    assert "Basis: prior." in section(card, "Data")
    assert not any(
        heading in card
        for heading in (
            "## Accuracy",
            "## Gates",
            "## Warnings",
            "## Features left out",
            "## At the grades",
            "## Known limits",
        )
    )


def cells(table):
    """Give the cells of a Markdown table's rows."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]


def test_the_card_crosses_grades_with_outcomes(card, run):
    """Every judged row is in one grade, and every win is counted once."""
    found = {row[0]: row[1:] for row in cells(section(card, "At the grades"))[1:]}
    assert list(found) == ["high", "medium", "low"]
    assert sum(int(row[0]) for row in found.values()) == len(run.judged.won)
    assert sum(int(row[1]) for row in found.values()) == run.judged.won.sum()
    assert all(int(row[0]) == int(row[1]) + int(row[2]) for row in found.values())


def test_the_card_says_where_it_is_off(card, run):
    """Segments, ages and stages of enough rows each have their figures, and the furthest off is named."""
    text = section(card, "By segment, age and stage")
    rows = cells(text)[1:]
    assert {"age", "stage", "source"} <= {row[0] for row in rows}
    assert all(int(row[2]) >= SEGMENT_ROWS_MIN for row in rows)
    sources = run.judged_features["source"].value_counts()
    expected = {row["source"]: row["count"] for row in sources.to_dicts() if row["source"]}
    assert {row[1]: int(row[2]) for row in rows if row[0] == "source"} == {
        name: count for name, count in expected.items() if count >= SEGMENT_ROWS_MIN
    }
    assert re.search(r"Furthest off, with \d+\.\d standard errors: \w+ .+, predicted", text)


def test_the_card_says_how_calibrated_each_segment_is(card, run):
    """Won, predicted and how far chance puts them apart are of the opportunities of the segment, as the one furthest off is."""
    text = section(card, "By segment, age and stage")
    rows = [row for row in cells(text)[1:] if row[0] == "stage"]
    judged, off = run.judged, {}
    for _, stage, count, won, predicted, error, ece, _ in rows:
        inside = (run.judged_features["stage"] == stage).fill_null(value=False).to_numpy()
        weight, gap = judged.weight[inside], (judged.won - judged.ours)[inside]
        of_each = [sum((weight * gap)[judged.groups[inside] == group]) for group in set(judged.groups[inside])]
        expected = math.sqrt(sum(one**2 for one in of_each)) / weight.sum()
        assert error == f"{expected:.1%}"
        assert predicted == f"{np.average(judged.ours[inside], weights=weight):.1%}"
        assert won == f"{np.average(judged.won[inside], weights=weight):.1%}"
        assert bool(ece) == (int(count) >= ECE_ROWS_MIN)
        off[stage] = abs(weight @ gap / weight.sum()) / expected
    assert rows
    assert max(off.values()) <= float(re.search(r"with (\d+\.\d) standard errors", text)[1]) + 0.06


def test_the_card_says_what_is_learnt_from(card, run):
    """Each theme has its number of features, all of them together are those of the version, shares add up."""
    rows = cells(section(card, "What it learns from"))[1:]
    assert sum(int(row[1]) for row in rows) == len(run.candidate.estimator.encoding.features)
    assert sum(float(row[2].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.6)


def test_the_card_says_what_it_cannot_speak_of(card, run):
    """Open records and the period that judges are named."""
    unknown = run.dataset.keys.filter(run.dataset.keys["won"].is_null())["opportunity_id"].n_unique()
    limits = section(card, "Known limits")
    assert f"- {unknown} records were still open" in limits
    assert f"{run.judged_features['as_of'].max():%Y-%m-%d}" in limits


def rows_of(part):
    """Give the cells of a Markdown table's rows."""
    lines = [line for line in part.splitlines() if line.startswith(("| ", "|-"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_card_shows_how_far_probabilities_are_right(card, run):
    """Each tenth of the rows has what was predicted and what was won, with a bar as long and a mark as far."""
    found = rows_of(section(card, "Reliability"))
    won, ours = run.judged.won, run.judged.ours
    assert sum(int(cells[3]) for cells in found) == len(won)
    lowest, highest = (
        np.argsort(ours, kind="stable")[: int(found[0][3])],
        np.argsort(ours, kind="stable")[-int(found[-1][3]) :],
    )
    for cells, part in ((found[0], lowest), (found[-1], highest)):
        assert cells[:2] == [f"{ours[part].mean():.1%}", f"{won[part].mean():.1%}"]
        bar = cells[4].strip("`")
        assert len(bar) == BAR_CELLS
        assert abs(bar.index("┃") - ours[part].mean() * BAR_CELLS) <= 1
        assert abs(bar.count("█") - won[part].mean() * BAR_CELLS) <= 1.5


def test_the_card_tells_what_is_found_by_looking_at_the_best(card, run):
    """Gain is the share of the wins among the most probable rows, lift how many times chance that is."""
    found = rows_of(section(card, "Gain and lift"))
    won, ours = run.judged.won, run.judged.ours
    for cells in found:
        first = np.argsort(-ours, kind="stable")[: int(cells[1])]
        gain = won[first].sum() / won.sum()
        assert cells[2] == f"{gain:.1%}"
        assert float(cells[3]) == pytest.approx(won[first].mean() / won.mean(), abs=0.006)
    assert [cells[0] for cells in found] == ["5%", "10%", "20%", "30%", "50%", "70%"]
