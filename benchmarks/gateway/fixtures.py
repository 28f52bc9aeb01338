"""The provider's two answers: about 1 KB with 16 fields, about 20 KB with 41 × 16 fields, Vietnamese letters among them."""

from __future__ import annotations

import json
import random

NAMES = [f"field_{number:02d}" for number in range(16)]
GRANTED = NAMES[:8]


def answers() -> tuple[bytes, bytes]:
    small = json.dumps(_record(1, 43), ensure_ascii=False, separators=(",", ":")).encode()
    items = [_record(number, 13) for number in range(41)]
    return small, json.dumps({"items": items}, ensure_ascii=False, separators=(",", ":")).encode()


def _record(seed: int, width: int) -> dict[str, str]:
    rng = random.Random(seed)
    return {name: "".join(rng.choices("abcdefghijklmnopqrstu 0123456789đạ", k=width)) for name in NAMES}
