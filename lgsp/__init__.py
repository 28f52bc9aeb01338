"""Wiring only: settings, URLs and the processes' entry points. No rules live here."""
