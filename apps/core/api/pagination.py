"""Pages of API lists: `?page=` and `?page_size=` (at most 200)."""

from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response

from apps.core.paging import MOST_COUNTED, OpenEndedPaginator


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


class OpenEndedPages(Pages):
    """For lists that grow for years: `count` stops at a limit (`count_is_exact` says whether it did), `next` goes on."""

    django_paginator_class = OpenEndedPaginator

    def get_paginated_response(self, data) -> Response:
        answer = super().get_paginated_response(data)
        answer.data["count_is_exact"] = self.page.paginator.is_counted_out
        return answer

    def get_paginated_response_schema(self, schema) -> dict:
        shape = super().get_paginated_response_schema(schema)
        shape["required"] = [*shape["required"], "count_is_exact"]
        shape["properties"]["count"]["description"] = f"How many rows there are, counted to at most {MOST_COUNTED}."
        shape["properties"]["count_is_exact"] = {"type": "boolean", "example": True}
        return shape
