"""Figures of a run: reliability and gain."""

import numpy as np
import plotly.graph_objects as go

from forecast.metrics import reliability
from training.gates import Judged


def reliability_figure(judged: Judged) -> go.Figure:
    """Draw predicted against observed share won, over 15 bins of equal count."""
    bins = reliability(judged.won, judged.ours)
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"dash": "dot"})
    figure.add_scatter(
        x=[part.predicted for part in bins],
        y=[part.observed for part in bins],
        mode="lines+markers",
        name="this version",
        customdata=[len(part.won) for part in bins],
        hovertemplate="predicted %{x:.1%}, won %{y:.1%} of %{customdata}",
    )
    figure.update_layout(title="Reliability", xaxis_title="predicted probability", yaxis_title="share won")
    return figure


def gain_figure(judged: Judged) -> go.Figure:
    """Draw the share of wins found against the share of opportunities looked at, best first."""
    figure = go.Figure()
    looked_at = np.arange(1, len(judged.won) + 1) / len(judged.won)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="at random", line={"dash": "dot"})
    for name, probability in (("this version", judged.ours), ("logistic regression", judged.logistic)):
        found = np.cumsum(judged.won[np.argsort(-probability, kind="stable")]) / max(judged.won.sum(), 1)
        figure.add_scatter(x=looked_at, y=found, mode="lines", name=name)
    figure.update_layout(title="Gain", xaxis_title="share looked at", yaxis_title="share of wins found")
    return figure
