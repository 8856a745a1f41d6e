"""The board as a web service: accounts, quotas, receipts, and a worker that alone sees labels.

A thin shell of Django around `acsbench.leaderboard`, which checks files and judges them. Two
processes share one database: the web process takes files and answers, the worker holds the vault
key and scores. Django lives in this folder alone.
"""
