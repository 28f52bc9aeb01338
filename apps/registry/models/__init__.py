"""Services by noun: the service, its contract, its addresses."""

from apps.registry.models.contract import NAME, PATH_TEMPLATE, Field, Operation, Parameter, ServiceVersion
from apps.registry.models.service import DataService, DefaultShareList, Feedback, Purpose, UsageRegulation
from apps.registry.models.upstream import HealthProbe, Upstream

__all__ = [
    "NAME",
    "PATH_TEMPLATE",
    "DataService",
    "DefaultShareList",
    "Feedback",
    "Field",
    "HealthProbe",
    "Operation",
    "Parameter",
    "Purpose",
    "ServiceVersion",
    "Upstream",
    "UsageRegulation",
]
