"""Audit: who did what, on what, when. One row a verb, written in the verb's own transaction.

Rows are append-only: the database refuses UPDATE, DELETE and TRUNCATE. Organizations are kept as UUIDs
without a foreign key, so that this floor stays below all others and history survives every reorganization.
"""
