"""Write trees as LightGBM's text, so that whatever reads its model files predicts and explains by them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.metrics import Floats

NUMBER_WITH_MISSING_LEFT, CATEGORY = 10, 1
"""LightGBM's decision types: bits for a category, for missing values that go left, and for NaN as what is missing."""
BITS_A_WORD = 32


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a split asks: is a number at most `threshold` or missing, or is a code one of those that go left.

    Attributes:
        column: of the matrix.
        threshold: of a number.
        goes_left: of a category, for each code; missing and other codes go right. None of a number.
    """

    column: int
    threshold: float = 0.0
    goes_left: NDArray[np.bool_] | None = None


@dataclass(frozen=True, kw_only=True)
class Split:
    """A node: its question, what each answer leads to, and how many rows came there."""

    question: Question
    left: "Split | Leaf"
    right: "Split | Leaf"
    row_count: int


@dataclass(frozen=True)
class Leaf:
    """An end: what it adds, and how many rows came there."""

    value: float
    row_count: int


def symmetric_tree(questions: Sequence[Question], values: Floats, row_counts: NDArray[np.int64]) -> Split | Leaf:
    """Build a tree whose levels ask one question each; a split that sends all rows one way is left out.

    The answers to the questions are the bits of a leaf's number, right being 1, the first question the highest.
    """
    if not questions:
        return Leaf(float(values[0]), int(row_counts[0]))
    half = len(values) // 2
    sides = [slice(None, half), slice(half, None)]
    left, right = (symmetric_tree(questions[1:], values[side], row_counts[side]) for side in sides)
    if not row_counts[:half].any():
        return right
    if not row_counts[half:].any():
        return left
    return Split(question=questions[0], left=left, right=right, row_count=int(row_counts.sum()))


def write_trees(trees: Iterable[Split | Leaf], column_count: int) -> str:
    """Give the model file of a sum of trees that is a log-odds; columns are named f0, f1, ..."""
    head = {
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "label_index": 0,
        "max_feature_idx": column_count - 1,
        "objective": "binary sigmoid:1",
        "feature_names": " ".join(f"f{column}" for column in range(column_count)),
        "feature_infos": " ".join(["none"] * column_count),
    }
    blocks = ["tree\n" + _lines(head), *(f"Tree={number}\n{_tree(tree)}" for number, tree in enumerate(trees))]
    return "\n".join(blocks) + "\nend of trees\n\nparameters:\nend of parameters\n\npandas_categorical:null\n"


def _tree(tree: Split | Leaf) -> str:
    splits, leaves = _numbered(tree)
    number_of = {id(split): number for number, split in enumerate(splits)}
    number_of |= {id(leaf): ~number for number, leaf in enumerate(leaves)}
    categories = [split.question.goes_left for split in splits if split.question.goes_left is not None]
    entries = {
        "num_leaves": len(leaves),
        "num_cat": len(categories),
        "split_feature": _joined(split.question.column for split in splits),
        "split_gain": _joined(0 for _ in splits),
        "threshold": _joined(_thresholds(splits)),
        "decision_type": _joined(_decision(split.question) for split in splits),
        "left_child": _joined(number_of[id(split.left)] for split in splits),
        "right_child": _joined(number_of[id(split.right)] for split in splits),
        "leaf_value": _joined(repr(leaf.value) for leaf in leaves),
        "leaf_weight": _joined(leaf.row_count for leaf in leaves),
        "leaf_count": _joined(leaf.row_count for leaf in leaves),
        "internal_value": _joined(0 for _ in splits),
        "internal_weight": _joined(0 for _ in splits),
        "internal_count": _joined(split.row_count for split in splits),
    }
    if categories:
        words = [_words(goes_left) for goes_left in categories]
        entries["cat_boundaries"] = _joined(np.cumsum([0, *(len(some) for some in words)]))
        entries["cat_threshold"] = _joined(word for some in words for word in some)
    return _lines({**entries, "is_linear": 0, "shrinkage": 1}) + "\n"


def _numbered(tree: Split | Leaf) -> tuple[list[Split], list[Leaf]]:
    """List a tree's splits and leaves from the root on."""
    splits: list[Split] = []
    leaves: list[Leaf] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Leaf):
            leaves.append(node)
        else:
            splits.append(node)
            waiting += [node.right, node.left]
    return splits, leaves


def _thresholds(splits: list[Split]) -> list[str]:
    """Give numbers their threshold, and categories their place among the tree's categories."""
    place = np.cumsum([split.question.goes_left is not None for split in splits]) - 1
    return [
        repr(split.question.threshold) if split.question.goes_left is None else str(at)
        for split, at in zip(splits, place, strict=True)
    ]


def _decision(question: Question) -> int:
    return NUMBER_WITH_MISSING_LEFT if question.goes_left is None else CATEGORY


def _words(goes_left: NDArray[np.bool_]) -> list[int]:
    whole = np.append(goes_left, np.zeros(-len(goes_left) % BITS_A_WORD, bool))
    return [int(word) for word in np.packbits(whole, bitorder="little").view("<u4")]


def _joined(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _lines(entries: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in entries.items())
