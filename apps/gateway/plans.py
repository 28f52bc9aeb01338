"""What a grant makes of a call, prepared once: what the provider is told, and what of its answers goes out."""

from __future__ import annotations

from msgspec import Struct

from apps.gateway import soap
from apps.gateway.codes import Translator, translator
from apps.gateway.cutting import Cutter, cutter
from apps.gateway.decision import Admission, Caller
from apps.gateway.endpoints import Endpoint
from apps.gateway.paths import encode
from apps.gateway.policy_kinds import Grant, Operation
from apps.gateway.runtime import Runtime
from apps.gateway.xml_cutting import XmlCutter, soap_cutter, xml_cutter

REMEMBERED = 50_000
WITHHELD_BYTES = 6_000


class Greeting(Struct, gc=False):
    """The unchanging text of a request to `endpoint` in the name of `caller`: before the path, and from there to the call id.

    Empty where what the provider is shown differs from call to call.
    """

    caller: Caller
    endpoint: Endpoint
    before: str
    after: str


class Plan(Struct, gc=False):
    """What a grant lets out of an operation's answers. `ids` maps masks of delivered leaves to stored sets of names."""

    grant: Grant
    operation: Operation
    knife: Cutter | XmlCutter
    is_xml: bool
    withheld: tuple[str, ...]
    header: bytes
    codes: Translator | None = None
    ids: dict[int, tuple[int | None, int | None, int]] = {}
    greeting: Greeting | None = None


class Plans:
    """The plans of this process, made once a grant row and contract."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._plans: dict[int, Plan] = {}

    def of(self, admission: Admission) -> Plan:
        plan = self._plans.get(admission.grant.id)
        if (
            plan is None
            or plan.grant is not admission.grant
            or plan.operation is not admission.operation
            or (plan.codes is not None and plan.codes.codes is not self._runtime.policy.codes)
        ):
            plan = self._make(admission)
        return plan

    def _make(self, admission: Admission) -> Plan:
        operation, grant = admission.operation, admission.grant
        granted, withheld = admission.route.cut_set(operation, grant.fields)
        is_xml = operation.answer == "xml" or bool(operation.soap)
        plan = Plan(grant, operation, _knife(operation, granted), is_xml, withheld, _withheld_header(withheld))
        if grant.codes_day:
            plan.codes = translator(self._runtime.policy, grant, operation, plan.knife)
        if len(self._plans) > REMEMBERED:
            self._plans.clear()
        self._plans[grant.id] = plan
        return plan


def _knife(operation: Operation, granted: tuple[str, ...]) -> Cutter | XmlCutter:
    if operation.soap:
        message = soap.message_of(operation.soap)
        return soap_cutter(granted, message.response, message.response_namespace)
    return xml_cutter(granted) if operation.answer == "xml" else cutter(granted)


def _withheld_header(names: tuple[str, ...]) -> bytes:
    """Names for X-Withheld-Fields: percent-encoded where they are not ASCII, cut at a length every proxy passes."""
    parts = [encode(name).replace("%5B", "[").replace("%5D", "]") for name in names]
    while len(parts) > 1 and sum(map(len, parts)) > WITHHELD_BYTES:
        parts.pop()
    return ", ".join(parts).encode()
