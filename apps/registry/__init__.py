"""Registry: what may be asked for. A data service belongs to a provider, has published versions, operations
and response fields with their personal-data class, and addresses per environment.

It promises: nothing is published incomplete (NĐ 47/2020 Điều 24-25), nothing secret can be registered,
a published version is never edited, and an upstream credential is stored encrypted and never shown again.
"""
