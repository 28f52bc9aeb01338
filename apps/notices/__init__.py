"""Notices: what people are told. A notice and its e-mail are rows written in the verb's transaction (outbox);
a worker sends them once, and a lost message only delays the wake-up.
"""
