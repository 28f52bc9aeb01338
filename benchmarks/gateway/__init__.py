"""The data plane beside a plain nginx proxy and a fair DRF view, in interleaved rounds on the same provider.

Figures are ratios of one round: finished calls per CPU-second of the whole process tree, PostgreSQL counted as ours.
Each target must first answer 200 with exactly the granted fields, 401, 401 and 403; afterwards answers = intents = outcomes.
"""
