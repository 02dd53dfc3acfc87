"""What people read from records and scores: what was known of a record, and whether the data is fit to learn from."""
