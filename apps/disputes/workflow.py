"""The lives of a dispute (NĐ 47/2020 Điều 48-50) and of a ticket."""

from django.utils.translation import gettext_lazy as _

from apps.core.workflow import Step, Workflow
from apps.disputes.choices import DisputeStatus as D
from apps.disputes.choices import TicketStatus as T

DISPUTE = Workflow(
    "dispute",
    (
        Step("escalate_to_2", (D.LEVEL_1,), D.LEVEL_2, "disputes.pursue", _("Take to the digital unit"),
             note="when level 1 is late or has answered without settling it"),
        Step("escalate_to_3", (D.LEVEL_2,), D.LEVEL_3, "disputes.pursue", _("Take to the body in charge"),
             note="when level 2 is late or has answered without settling it"),
        Step("resolve", (D.LEVEL_1, D.LEVEL_2, D.LEVEL_3), D.RESOLVED, "disputes.pursue", _("Settled"), "primary",
             note="said by the side that raised it"),
        Step("close", (D.RESOLVED,), D.CLOSED, "disputes.close", _("Close"), "primary",
             note="the operator checks that what was agreed is done (Điều 50)"),
    ),
)  # fmt: skip

TICKET = Workflow(
    "ticket",
    (
        Step("answer", (T.OPEN,), T.ANSWERED, "disputes.answer_ticket", _("Answer"), "primary"),
        Step("ask_again", (T.ANSWERED,), T.OPEN, "disputes.pursue_ticket", _("Ask again")),
        Step("close", (T.OPEN, T.ANSWERED), T.CLOSED, "disputes.pursue_ticket", _("Close")),
    ),
)
