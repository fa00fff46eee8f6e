"""Frames waiting for the next stage."""

import threading

from toolkit.live.mailbox import Mailbox, MailRoom


def test_a_live_mailbox_keeps_only_the_newest_and_reports_the_rest():
    dropped = []
    box = Mailbox(4, newest_wins=True, on_drop=dropped.append)

    for number in range(5):
        box.put(number)

    assert dropped == [0, 1, 2, 3]
    assert box.take() == 4


def test_a_recorded_mailbox_makes_the_writer_wait_and_loses_nothing():
    box = Mailbox(2)
    writer = threading.Thread(target=lambda: [box.put(n) for n in range(50)])
    writer.start()

    taken = [box.take() for _ in range(50)]
    writer.join(5)

    assert taken == list(range(50))


def test_closing_wakes_a_writer_that_waits_for_room_and_its_item_is_reported():
    dropped = []
    box = Mailbox(1, on_drop=dropped.append)
    box.put("first")
    writer = threading.Thread(target=box.put, args=("second",))
    writer.start()

    box.close()
    writer.join(5)

    assert not writer.is_alive()
    assert dropped == ["second"]
    assert (box.take(), box.take()) == ("first", None)


def test_closing_can_drop_what_waits():
    dropped = []
    box = Mailbox(4, on_drop=dropped.append)
    box.put("a")

    box.close(drop_waiting=True)

    assert dropped == ["a"]
    assert box.take() is None


def test_a_room_serves_its_boxes_in_turn():
    room = MailRoom()
    fast, slow = (Mailbox(9, room=room) for _ in range(2))
    room.add(fast)
    room.add(slow)
    for number in range(3):
        fast.put(f"fast-{number}")
    slow.put("slow-0")

    assert [room.take()[1] for _ in range(4)] == ["fast-0", "slow-0", "fast-1", "fast-2"]


def test_a_reader_that_waits_in_a_room_is_woken_by_a_box_that_came_later():
    room = MailRoom()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(room.take()))
    reader.start()

    late = Mailbox(1, room=room)
    room.add(late)
    late.put("news")
    reader.join(5)

    assert taken == [(late, "news")]


def test_a_box_that_may_not_be_taken_from_is_passed_over_until_it_may():
    room = MailRoom()
    first, second = (Mailbox(9, room=room) for _ in range(2))
    for box in (first, second):
        room.add(box)
        box.put(1)
    allowed = {second}

    assert room.take(allowed.__contains__) == (second, 1)

    reader = threading.Thread(target=lambda: allowed.add(room.take(allowed.__contains__)))
    reader.start()
    with room.lock:
        allowed.add(first)
        room.arrived.notify()
    reader.join(5)
    assert (first, 1) in allowed


def test_of_many_writers_only_the_one_that_got_room_is_woken():
    room = MailRoom()
    boxes = [Mailbox(1, room=room) for _ in range(8)]
    for box in boxes:
        room.add(box)
        box.put("first")
    writers = [threading.Thread(target=box.put, args=("second",)) for box in boxes]
    for writer in writers:
        writer.start()

    boxes[3].take()
    writers[3].join(5)

    assert [len(box) for box in boxes] == [1] * 8
    assert [writer.is_alive() for writer in writers] == [n != 3 for n in range(8)]
    for box in boxes:
        box.close()
    for writer in writers:
        writer.join(5)


def test_closing_a_room_lets_its_reader_go():
    room = MailRoom()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(room.take()))
    reader.start()

    room.close()
    reader.join(5)

    assert taken == [None]
