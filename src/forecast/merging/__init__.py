"""Merge records that are the same, undo it, and lead what is imported later to the record that was kept.

A merge mends who is meant, for all moments, as correcting a typing error would: references are repointed without change
rows, and change rows that named the merged record name the kept one. Blanks that are filled are news of the day of the
merge, and are recorded as changes.
"""

from forecast.merging.merge import EVERY_FIELD, list_merges, merge_records
from forecast.merging.redirects import Redirects, read_redirects, redirect_changes, redirect_rows
from forecast.merging.references import MERGED_KINDS
from forecast.merging.undo import Undone, undo_merge

__all__ = [
    "EVERY_FIELD",
    "MERGED_KINDS",
    "Redirects",
    "Undone",
    "list_merges",
    "merge_records",
    "read_redirects",
    "redirect_changes",
    "redirect_rows",
    "undo_merge",
]
