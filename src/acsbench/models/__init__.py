"""Datasets to scores. Torch lives here alone."""
