"""Sales forecasting and lead scoring with honest probabilities."""
