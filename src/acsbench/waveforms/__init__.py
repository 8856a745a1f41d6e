"""Recordings to a waveform store: quality checks, recipes, processing."""
