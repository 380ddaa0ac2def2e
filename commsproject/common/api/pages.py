"""A page of rows: answered, and described in the schema, in one way everywhere."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from commsproject.common.api.pagination import NewestFirst, NewestOfMany

Item = type[serializers.BaseSerializer[Any]]


def page(
    rows: QuerySet[Any], item: Item, request: Request, *, among: QuerySet[Any] | None = None
) -> Response:
    """`rows` as `{"results", "next", "previous"}`. Raises `InvalidInput` for a foreign cursor.

    `among`: what `rows` are a part of, where no index knows which part (`NewestOfMany`).
    """
    paginator = NewestFirst() if among is None else NewestOfMany(among)
    found: list[Model] = paginator.paginate_queryset(rows, request) or []
    return paginator.get_paginated_response(item(found, many=True).data)


def shown_page(item: dict[str, Any]) -> dict[str, Any]:
    """The only page of a list with one `item`, for an example."""
    return {"results": [item], "next": None, "previous": None}


def page_of(item: Item) -> serializers.Serializer[Any]:
    """The shape of a page, for `extend_schema`."""
    return inline_serializer(
        item.__name__.removesuffix("Output") + "Page",
        {
            "results": item(many=True),
            "next": serializers.URLField(allow_null=True, help_text="Null on the last page."),
            "previous": serializers.URLField(allow_null=True, help_text="Null on the first page."),
        },
    )
