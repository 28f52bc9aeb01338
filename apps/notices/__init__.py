"""Notices: what people are told. A notice and its e-mail are rows written in the verb's transaction (outbox);
a worker sends them once, and a lost message only delays the wake-up. What was given up is sent again by the operator; what is done
is dropped after its days (`retention`): it holds an address, and what it told stays a notice.
"""
