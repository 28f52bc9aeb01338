"""The embedded broker under two processes' worth of haste: nothing half-written is ever read, nothing readable is lost."""

from __future__ import annotations

import threading
import time
from queue import Empty

import pytest
from kombu import Connection

from lgsp import file_broker


@pytest.fixture
def channel(tmp_path):
    file_broker.use()
    folders = {name: str(tmp_path / name) for name in ("messages", "control")}
    (tmp_path / "messages").mkdir()
    options = {
        "data_folder_in": folders["messages"],
        "data_folder_out": folders["messages"],
        "control_folder": folders["control"],
    }
    with Connection("filesystem://", transport_options=options) as connection:
        yield connection.channel()


def test_a_half_written_message_is_put_aside_and_the_next_one_read(channel, tmp_path):
    (tmp_path / "messages" / f"{0:020d}_x.lgsp.msg").write_bytes(b"")
    (tmp_path / "messages" / f"{1:020d}_y.lgsp.msg").write_bytes(b'{"half": ')
    channel._put("lgsp", {"body": "sync.tick"})
    assert channel._get("lgsp") == {"body": "sync.tick"}
    assert channel._size("lgsp") == 0, "what was put aside waits for nobody"
    with pytest.raises(Empty):
        channel._get("lgsp")


def test_messages_of_other_queues_and_drafts_are_left_alone(channel, tmp_path):
    channel._put("other", {"body": 1})
    (tmp_path / "messages" / f"{0:020d}_x.lgsp.msg.draft").write_bytes(b"{}")
    with pytest.raises(Empty):
        channel._get("lgsp")
    assert channel._get("other") == {"body": 1}


def test_what_is_written_while_others_read_comes_out_whole_and_once(channel):
    big = "x" * 200_000
    got, written = [], threading.Event()

    def read() -> None:
        while True:
            done = written.is_set()
            try:
                got.append(channel._get("lgsp"))
            except Empty:
                if done:
                    return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        channel._put("lgsp", {"number": number, "body": big})
    written.set()
    for reader in readers:
        reader.join(60)
    assert sorted(message["number"] for message in got) == list(range(100))
    assert all(message["body"] == big for message in got)


def test_a_table_of_an_exchange_that_is_just_being_made_is_waited_for(channel, tmp_path):
    channel._queue_bind("lgsp", "lgsp", "", "lgsp")
    whole = (tmp_path / "control" / "lgsp.exchange").read_bytes()
    (tmp_path / "control" / "lgsp.exchange").write_bytes(b"")

    def finish() -> None:
        time.sleep(0.1)
        (tmp_path / "control" / "lgsp.exchange").write_bytes(whole)

    writer = threading.Thread(target=finish)
    writer.start()
    assert [row.queue for row in channel.get_table("lgsp")] == ["lgsp"]
    writer.join()
