"""``python -m acsbench``."""

from acsbench.cli import main

main()
