"""The embedded broker: kombu's filesystem transport, without its two races.

The stock transport writes a message under the name readers look for, so that a worker may read half of it (and dies of
it, with everything the supervisor started), and makes the table of an exchange empty before it fills it. Here a message
gets its name when it is whole, a reader claims it by renaming, what cannot be read is put aside, and a table is read
again until it is whole. Messages are wake-ups: one that is put aside costs a moment, never work.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

log = logging.getLogger("lgsp.broker")
_ATTEMPTS, _PAUSE = 100, 0.02  # seconds: a table is whole within microseconds unless its writer was stopped


def use() -> None:
    """Make `filesystem://` mean this transport in this process."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict, **kwargs) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / f"{name}.draft"
        draft.write_bytes(str_to_bytes(dumps(payload)))
        draft.replace(folder / name)

    def _get(self, queue: str) -> dict:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            payload = _claim(folder / name)
            if payload is not None:
                return payload
        raise Empty

    def get_table(self, exchange: str) -> list:
        return _until_whole(super().get_table, exchange)

    def _queue_bind(self, *args) -> None:
        _until_whole(super()._queue_bind, *args)


class Transport(filesystem.Transport):
    Channel = Channel
    # Bindings are shared by the channels of one process, as in the stock transport.
    global_state = filesystem.Transport.global_state


def _claim(path: Path) -> dict | None:
    """The message, now nobody else's; None when another reader was first or it cannot be read (it is put aside then)."""
    mine = path.with_name(f"{path.name}.claimed-{os.getpid()}")
    try:
        path.rename(mine)
        payload = loads(bytes_to_str(mine.read_bytes()))
    except FileNotFoundError:
        return None
    except ValueError:
        log.warning("a message that cannot be read was put aside: %s", mine.name)
        mine.replace(path.with_name(f"{path.name}.unreadable"))
        return None
    mine.unlink()
    return payload


def _until_whole(read, *args):
    for _ in range(_ATTEMPTS):
        try:
            return read(*args)
        except ValueError:
            time.sleep(_PAUSE)
    return read(*args)
