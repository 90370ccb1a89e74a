"""The proof: jobs of every kind under a seeded plan of faults, counted where their effects arrive.

``python -m tests.proof`` runs it; ``make proof`` is the same.
"""
