"""What customers are worth: scores, tiers, whom to call, and how that is read, said and stored."""
