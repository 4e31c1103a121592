"""Ledger, reply cache, bounded loop, worker processes, retries, budget, atomic files.

Knows nothing of videos or prompts.
"""
