"""Addresses and filters that somebody has typed, or that mean harm: said so in words, never a failure."""

from __future__ import annotations

import re
from itertools import product

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

from notifications.models import Notification
from tests.integration.test_staff_permissions import addresses, bare
from tests.unit.commsproject.test_admin_pages import everything

__all__ = ["bare", "everything"]

pytestmark = pytest.mark.django_db

NO_KEYS = ("nonsense", "%00", "00000000-0000-0000-0000-000000000000")
NO_CHOICES = ("nonsense", "99999999999999999999")
OF_ALL = ("p", "o", "q", "all", "_to_field", "nothing__like__it")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="x"))
    client.raise_request_exception = False
    return client


@pytest.mark.usefixtures("everything", "bare")
def test_a_row_that_there_is_not_is_said_to_be_none(staff: Client) -> None:
    wrong = []
    for name, route in addresses(get_resolver()):
        if "<" not in route:
            continue
        for key in NO_KEYS:
            where = "/" + re.sub(r"<[^>]+>", key, route)
            for ask in (staff.get, staff.post)[: 2 if key == "nonsense" else 1]:
                status = ask(where).status_code
                if status >= 500:
                    wrong.append(f"{name} {where} {status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("everything", "bare")
def test_a_list_takes_any_filter(staff: Client) -> None:
    wrong = []
    for model, page in admin.site._registry.items():
        where = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        asked = RequestFactory().get(where)
        asked.user = User.objects.get(username="ada")
        filters = page.get_changelist_instance(asked).filter_specs
        names = [str(name) for one in filters for name in one.expected_parameters()]
        values = list(NO_CHOICES)
        if model is Notification:  # the same of every list
            names, values = [*names, *OF_ALL], [*values, "\0"]
        for name, value in product(names, values):
            status = staff.get(where, {name: value}).status_code
            if status >= 500:
                wrong.append(f"{where} {name}={value!r} {status}")
    assert not wrong, "\n".join(wrong)
