"""The judge of a board: file check, scoring, releases, ranks, vault, receipts, audit. No server."""
