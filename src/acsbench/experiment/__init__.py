"""Chains the stages: run, demo, doctor."""
