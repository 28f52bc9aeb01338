"""Disputes: what two agencies cannot settle alone, and what they ask of each other while data flows.

A dispute (vướng mắc, NĐ 47/2020 Điều 47-50) has one of six kinds and climbs three levels, each with its own clock:
the other party, the digital unit of the province, and a document to the body in charge. A ticket is smaller: an
explanation asked of a consumer whose use is in doubt (Điều 51(1)(b)), or wrong data reported to the provider (Điều 52(2)(c)).
Maintenance is what a provider announces to all who call a service (Điều 43); the gateway obeys its rows. Merging an agency
into another has its doors here, as what it has not settled goes over with all the rest (`reorganization`).
"""
