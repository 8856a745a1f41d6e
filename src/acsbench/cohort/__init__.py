"""Tables to a cohort: who is included, in which split, with what outcome."""
