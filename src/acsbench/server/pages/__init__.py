"""The board's face: pages drawn on the server, which need no script and load nothing from afar."""

__all__: list[str] = []
