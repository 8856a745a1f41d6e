"""Predictions and labels to results. Needs neither torch nor the rest of the pipeline."""
