"""Registers of agencies, systems, roles and people; one module a noun."""

from apps.organizations.admin import agencies, people, systems  # noqa: F401
