"""Foundation models: one adapter a file; heads, pooling, windows and training are shared."""
