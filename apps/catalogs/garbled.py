"""Traces of bytes read in the wrong encoding, and letters that nobody sees: no Vietnamese text holds them."""

from __future__ import annotations

import re

_MOJIBAKE = "[ÃÄÂÆ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|á[º»]|\ufffd"
TRACES = re.compile(_MOJIBAKE)
GARBLED = re.compile(f"[\x00-\x08\x0e-\x1b\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]|{_MOJIBAKE}")


def may_be_garbled(text: str) -> bool:
    """True when a trace may be there: a look for single letters costs a tenth of the search for traces."""
    return (
        "Ã" in text
        or "Ä" in text
        or "Â" in text
        or "Æ" in text
        or "áº" in text
        or "á»" in text
        or "\ufffd" in text
    )  # fmt: skip
