"""The progress line tells where a training is and how long it still takes."""

import io
import time

from detectron2.utils.events import EventStorage
from df2_landmarks.engine.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def write(stream, iterations, max_iter=100):
    line = ProgressLine(max_iter, stream=stream)
    with EventStorage(0) as storage:
        for iteration in range(iterations):
            storage.put_scalars(total_loss=2.5, loss_keypoint=1.25, time=0.5)
            line.write()
            storage.step()
            assert storage.iter == iteration + 1
    line.close()
    return stream.getvalue()


def test_time_left_is_that_of_the_iterations_to_come():
    last = write(io.StringIO(), 40).splitlines()[-1]
    assert last == "  iteration 40/100  loss 2.50  landmarks 1.25  0.50 s/iteration  0:30 left"


def test_a_log_file_gets_a_line_for_each_twentieth():
    assert len(write(io.StringIO(), 100).splitlines()) == 21


def test_a_terminal_line_is_written_over_itself():
    text = write(Terminal(), 10)
    assert text.count("\r") == 10
    assert text.count("\n") == 1


def test_a_deadline_comes_before_the_last_iteration():
    stream = io.StringIO()
    line = ProgressLine(1000, deadline=time.perf_counter() + 9.5, stream=stream)
    with EventStorage(0) as storage:
        storage.put_scalars(total_loss=2.5, loss_keypoint=1.25, time=0.5)
        line.write()
    assert stream.getvalue().endswith("0:09 left\n")


def test_a_training_that_fails_at_once_writes_nothing():
    stream = io.StringIO()
    with EventStorage(0):
        ProgressLine(10, stream=stream).write()
    assert stream.getvalue() == ""
