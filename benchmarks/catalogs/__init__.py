"""Shared catalogs: ready bytes beside nginx's static files and a plain DRF viewset; imports beside `bulk_create`; translate.

Reads are answers per CPU-second of the whole process tree, PostgreSQL counted as ours; every figure is a ratio of one round.
Imports write the product's own tables with all their guards, on both sides.
"""
