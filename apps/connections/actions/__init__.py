"""The verbs of a request: the decision's way (`request`), and the thread, files and paper beside it (`case`)."""

from apps.connections.actions.case import (
    assign_request,
    attach_file,
    carry_files,
    comment_request,
    enter_paper_request,
    remove_file,
)
from apps.connections.actions.request import (
    AMENDING,
    EDITABLE,
    draft_request,
    forward_request,
    lapse_request,
    open_parts,
    refuse_request,
    refuse_second_decision,
    require_editable,
    return_request,
    save_draft,
    sign_request,
    submit_request,
    withdraw_request,
)

__all__ = [
    "AMENDING",
    "EDITABLE",
    "assign_request",
    "attach_file",
    "carry_files",
    "comment_request",
    "draft_request",
    "enter_paper_request",
    "forward_request",
    "lapse_request",
    "open_parts",
    "refuse_request",
    "refuse_second_decision",
    "require_editable",
    "remove_file",
    "return_request",
    "save_draft",
    "sign_request",
    "submit_request",
    "withdraw_request",
]
