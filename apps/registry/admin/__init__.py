"""Registers of services, versions, regulations and purposes; one module a noun."""

from apps.registry.admin import offers, terms, versions  # noqa: F401
