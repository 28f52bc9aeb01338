"""Registers of libraries that nobody keeps here: roles are memberships, addresses belong to the account."""

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group

admin.site.unregister([Group, EmailAddress])
