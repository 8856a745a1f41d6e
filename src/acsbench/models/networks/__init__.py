"""Plain `nn.Module`s; one file an architecture."""
