"""Pure functions on arrays: lead names and geometry, filters, beats. Nothing is read or written."""
