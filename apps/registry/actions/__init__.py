"""The verbs on services; one module a noun."""

from apps.registry.actions.contracts import (
    complete_examples,
    complete_fields,
    complete_operation,
    define_contract,
    import_document,
    remove_operation,
    write_operation,
)
from apps.registry.actions.default_lists import decide_default_list
from apps.registry.actions.feedback import answer_feedback, give_feedback
from apps.registry.actions.offers import change_service, register_service, resume_service, retire_service, suspend_service
from apps.registry.actions.purposes import change_purpose, name_purpose
from apps.registry.actions.terms import change_terms, end_terms, sign_terms, write_terms
from apps.registry.actions.upstreams import set_upstream
from apps.registry.actions.versions import (
    add_version,
    deprecate_version,
    discard_version,
    mark_ready,
    postpone_end,
    publish_version,
    retire_version,
)

__all__ = [
    "add_version",
    "answer_feedback",
    "change_purpose",
    "change_service",
    "change_terms",
    "complete_examples",
    "complete_fields",
    "complete_operation",
    "decide_default_list",
    "define_contract",
    "deprecate_version",
    "discard_version",
    "end_terms",
    "give_feedback",
    "import_document",
    "mark_ready",
    "name_purpose",
    "postpone_end",
    "publish_version",
    "register_service",
    "remove_operation",
    "resume_service",
    "retire_service",
    "retire_version",
    "set_upstream",
    "sign_terms",
    "suspend_service",
    "write_operation",
    "write_terms",
]
