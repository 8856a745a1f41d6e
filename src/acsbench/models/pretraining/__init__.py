"""Learning from ECGs without labels: what is predicted, of whom, and what is left of it."""
