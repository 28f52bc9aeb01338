from django.db import models
from django.utils.translation import gettext_lazy as _


class RequestStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    CHECKING = "checking", _("checked for completeness by the operator")
    RETURNED = "returned", _("returned for completion")
    AWAITING_PROVIDER = "awaiting_provider", _("awaiting the provider's decision")
    APPROVED = "approved", _("approved")
    REFUSED = "refused", _("refused")
    WITHDRAWN = "withdrawn", _("withdrawn")


OVER = (RequestStatus.APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN)


class RequestKind(models.TextChoices):
    NEW = "new", _("new connection")
    CHANGE = "change", _("change")
    RENEWAL = "renewal", _("renewal")
    JOIN = "join", _("joining an agreement in force")


class Channel(models.TextChoices):
    ONLINE = "online", _("online")
    PAPER = "paper", _("on paper")


class SharingMethod(models.TextChoices):
    """NĐ 47/2020 Điều 23. Only QUERY is built; the others are refused with a clear word until they are."""

    QUERY = "query", _("online query")
    SYNC = "sync", _("synchronization")
    PACKAGE = "package", _("packaged data")


class DecisionStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    APPROVED = "approved", _("approved")
    REFUSED = "refused", _("refused")


class AttachmentKind(models.TextChoices):
    PAPER = "paper", _("scan of the signed paper request")
    ASSESSMENT = "assessment", _("data protection impact assessment")
    OTHER = "other", _("other document")
