"""What the flaws of a benchmark cost, on generated hospitals where the truth is known."""
