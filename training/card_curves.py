"""Curves of the model card as tables that any reader of Markdown sees: reliability, gain and lift."""

import numpy as np

from forecast.metrics import ReliabilityBin, reliability
from training.gates import Judged

BINS = 10
GAIN_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
BAR_CELLS = 25


def reliability_table(judged: Judged) -> str:
    """Set what was predicted beside what was won, over bins of equal count; a bar for what was won, a mark at what was predicted."""
    lines = [
        f"| {part.predicted:.1%} | {part.observed:.1%} | {_chance(part):.1%} | {len(part.won)} | `{_bar(part)}` |"
        for part in reliability(judged.won, judged.ours, BINS)
    ]
    head = "| predicted | won | by chance ± | rows | won (█) against predicted (┃) |\n|---:|---:|---:|---:|---|"
    note = (
        "Rows in order of their probability. A share won that lies farther off than twice what chance does is an error."
    )
    return "## Reliability\n\n" + note + "\n\n" + "\n".join([head, *lines])


def _chance(part: ReliabilityBin) -> float:
    """Give the standard error of a share won, were the prediction right."""
    return float(np.sqrt(part.predicted * (1 - part.predicted) / len(part.won)))


def _bar(part: ReliabilityBin) -> str:
    cells = ["█" if cell < round(part.observed * BAR_CELLS) else "·" for cell in range(BAR_CELLS)]
    cells[min(BAR_CELLS - 1, round(part.predicted * BAR_CELLS))] = "┃"
    return "".join(cells)


def gain_table(judged: Judged) -> str:
    """Tell which share of the wins is found by looking at the most probable rows first, and how many times chance that is."""
    lines = []
    for share in GAIN_SHARES:
        looked_at = max(1, round(share * len(judged.won)))
        ours, logistic = (_found(judged, who, looked_at) for who in (judged.ours, judged.logistic))
        lift = ours * len(judged.won) / looked_at
        lines.append(f"| {share:.0%} | {looked_at} | {ours:.1%} | {lift:.2f} | {logistic:.1%} |")
    head = "| looked at | rows | of all wins | lift | by logistic regression |\n|---:|---:|---:|---:|---:|"
    return "## Gain and lift\n\n" + "\n".join([head, *lines])


def _found(judged: Judged, probability: np.ndarray, looked_at: int) -> float:
    first = np.argsort(-probability, kind="stable")[:looked_at]
    return float(judged.won[first].sum() / max(judged.won.sum(), 1.0))
