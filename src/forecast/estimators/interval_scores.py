"""Raw scores of trees for every interval at once, where the interval is the last column of a row."""

import numpy as np

from forecast.estimators.shapley import Columns, Tree, goes_left
from forecast.metrics import Floats


def interval_scores(trees: list[Tree], matrix: Floats, *, intervals: int, classes: int) -> Floats:
    """Add up the trees of each class for rows that are the same in every interval but for its number.

    A row comes to a leaf in a span of intervals, if its other columns lead there: so each split is asked once a row, and a
    leaf counts from the begin of its span to the end.

    Args:
        trees: of LightGBM's classes in turn; the last column they split is the interval's number, from 0.
        matrix: the other columns, shape (rows, columns).

    Returns:
        Shape (classes, intervals, rows).
    """
    steps = np.zeros((classes, intervals + 1, len(matrix)))
    columns = Columns(matrix)
    for number, tree in enumerate(trees):
        _add(tree, columns, steps[number % classes])
    return np.cumsum(steps[:, :-1], axis=1)


def _add(tree: Tree, columns: Columns, steps: Floats) -> None:
    """Add each leaf's value where its span begins, and take it away where the span ends."""
    last = len(steps) - 1
    if not len(tree.feature):
        steps[0] += tree.leaf_value[0]
        return
    stack = [(0, np.ones(steps.shape[1], bool), 0, last)]
    while stack:
        node, here, first, end = stack.pop()
        if node < 0:
            paid = here * tree.leaf_value[~node]
            steps[first] += paid
            if end < last:
                steps[end] -= paid
            continue
        left, right = int(tree.left[node]), int(tree.right[node])
        if tree.feature[node] == len(columns.values):
            middle = int(np.clip(np.floor(tree.threshold[node]) + 1, first, end))
            stack += [(child, here, *span) for child, span in ((left, (first, middle)), (right, (middle, end)))]
        else:
            at_left = goes_left(tree, node, columns)
            stack += [(left, here & at_left, first, end), (right, here & ~at_left, first, end)]
