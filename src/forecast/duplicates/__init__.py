"""Records that are probably the same: proposed with a confidence and its reasons, never merged here."""

from forecast.duplicates.finding import DUPLICATE_KINDS, find_duplicates
from forecast.duplicates.phrases import say_evidence

__all__ = ["DUPLICATE_KINDS", "find_duplicates", "say_evidence"]
