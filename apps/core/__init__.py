"""Core: the ground floor. Knows no agency, no request and no call.

It promises: a state moves by one conditional UPDATE or not at all (`workflow`), every error has a stable
code and one wire shape (`errors`, `api.problems`), nothing calls an address that was not allowed
(`egress`, `outbound`), secrets rest encrypted (`fields`), text folds and sorts one way everywhere (`text`),
and every change of a right raises the policy epoch in the transaction that makes it (`epoch`).
"""
