"""Trainings in processes of their own: whose turn it is, when they end, and that nothing is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from attention_core.grow.run import grow
from attention_core.grow.tasks import RunSettings
from attention_core.grow.trainings import Gone, Limits, Live, Trainings
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow  # a process each, and each imports torch
ROOT = Path(__file__).resolve().parents[3]
LONG = RunSettings("repeated", n_steps=10_000)  # minutes; every test ends it long before
SHORT = RunSettings("copying", seed=3, n_steps=2)


def limits(**values: int | float) -> Limits:
    """As a server has them, but with the tests' own priority: at the lowest, other work would hold the tests up."""
    return Limits(**{"niceness": 0, **values})


def alive(pid: int) -> bool:
    """Is there such a process that still runs? (One that ended and was not waited for does not.)"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False
    return state not in "ZX"


def worked(pid: int) -> dict[str, int]:
    """Ticks of the clock that each thread of a process has computed: not those that it waited for the processor."""
    return {
        stat.parent.name: sum(map(int, stat.read_text(encoding="ascii").rpartition(")")[2].split()[11:13]))
        for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    }


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def await_state(trainings: Trainings, key: str, *states: str) -> Live:
    until(lambda: trainings.look(key).state in states)
    return trainings.look(key)


@pytest.fixture
def trainings() -> Iterator[Trainings]:
    made = Trainings(limits(at_once=1, lease=60))
    yield made
    pids = made.processes
    made.close()
    until(lambda: not any(map(alive, pids)))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a training process: with more threads sums are made in another order, and the last digits differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_run_in_a_process_is_the_run_that_is_computed_here(trainings: Trainings):
    live = await_state(trainings, trainings.start("a", SHORT), "finished", "failed")
    assert live.state == "finished" and live.run is not None and live.step == 2
    here = list(grow(SHORT))
    assert live.run.steps.tolist() == [saved.step for saved in here] == [0, 1, 2]
    for found, expected in zip(live.run.saved, here, strict=True):
        assert np.array_equal(found.maps, expected.maps)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
        assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert trainings.processes == ()


def test_a_training_has_the_lowest_priority_on_a_server():
    assert Limits().niceness == 19
    made = Trainings(limits(at_once=1, lease=60, niceness=19))
    made.start("a", LONG)
    until(lambda: any(os.getpriority(os.PRIO_PROCESS, pid) == 19 for pid in made.processes))
    made.close()


def test_a_process_has_one_thread_at_work_and_a_bound_on_memory(trainings: Trainings):
    key = trainings.start("a", LONG)
    until(lambda: trainings.look(key).step > 0)
    (pid,) = trainings.processes
    bounds = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    data = next(line for line in bounds.splitlines() if line.startswith("Max data size"))
    assert data.split()[3:5] == [str(trainings.limits.memory_mb * 1_000_000)] * 2
    before = worked(pid)  # what importing took is not counted
    until(lambda: trainings.look(key).step > 0 and sum(worked(pid).values()) > sum(before.values()) + 100)
    since = [ticks - before.get(thread, 0) for thread, ticks in worked(pid).items()]
    assert sum(since) - max(since) <= 0.05 * max(since)  # others only wait


def test_the_second_visitor_waits_and_gets_his_turn(trainings: Trainings):
    first, second, third = (trainings.start(visitor, LONG) for visitor in "abc")
    await_state(trainings, first, "running")
    assert [trainings.look(key).state for key in (second, third)] == ["queued", "queued"]
    assert [trainings.look(key).ahead for key in (first, second, third)] == [0, 1, 2]
    assert len(trainings.processes) == 1
    trainings.stop(first)
    await_state(trainings, second, "running")
    assert trainings.look(third).ahead == 1 and len(trainings.processes) == 1
    trainings.leave(second)
    until(lambda: trainings.look(third).step > 0)


def test_two_places_train_two_visitors_and_the_third_waits():
    made = Trainings(limits(at_once=2, lease=60))
    keys = [made.start(visitor, LONG) for visitor in "abc"]
    for key in keys[:2]:
        await_state(made, key, "running")
    assert made.look(keys[2]).state == "queued" and made.look(keys[2]).ahead == 1 and len(made.processes) == 2
    made.close()


def test_stopping_keeps_what_was_saved_and_frees_the_processor(trainings: Trainings):
    key = trainings.start("a", LONG)
    until(lambda: trainings.look(key).step > 0)
    (pid,) = trainings.processes
    trainings.stop(key)
    until(lambda: not alive(pid))
    live = trainings.look(key)
    assert live.state == "stopped" and live.run is not None and live.step > 0
    trainings.stop(key)  # again: nothing happens
    trainings.leave(key)
    with pytest.raises(Gone):
        trainings.look(key)
    trainings.leave(key)


def test_a_visitor_has_one_training_the_latest(trainings: Trainings):
    first = trainings.start("a", LONG)
    await_state(trainings, first, "running")
    (pid,) = trainings.processes
    second = trainings.start("a", RunSettings("copying", n_steps=10_000))
    with pytest.raises(Gone):
        trainings.look(first)
    await_state(trainings, second, "running")
    until(lambda: not alive(pid))
    assert len(trainings.processes) == 1 and trainings.processes != (pid,)


def test_who_does_not_look_has_left_and_the_next_one_gets_the_place():
    made = Trainings(limits(at_once=1, lease=3))
    gone = made.start("a", LONG)
    waiting = made.start("b", LONG)
    until(lambda: made.look(waiting).state == "queued" and len(made.processes) == 1)
    (pid,) = made.processes
    until(lambda: made.look(waiting).state == "running")  # b looks, a does not
    with pytest.raises(Gone):
        made.look(gone)
    until(lambda: not alive(pid))
    until(lambda: not made.processes)  # now b does not look either
    with pytest.raises(Gone):
        made.look(waiting)
    made.close()


def test_looking_keeps_a_training_beyond_its_lease():
    made = Trainings(limits(at_once=1, lease=3))
    key = made.start("a", LONG)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert made.look(key).state in ("queued", "running")
        time.sleep(0.05)
    made.close()


def test_a_training_ends_when_its_time_is_over():
    made = Trainings(limits(at_once=1, seconds=0.5, lease=60))
    live = await_state(made, made.start("a", LONG), "stopped", "failed", "finished")
    assert live.state == "stopped" and "0 seconds, the most" in live.says
    assert live.step < LONG.n_steps and made.processes == ()
    made.close()


def test_a_process_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("attention_core.grow.trainings.GRACE", 0.5)
    made = Trainings(limits(at_once=1, seconds=1, lease=60))
    key = made.start("a", LONG)
    until(lambda: len(made.processes) == 1)
    (pid,) = made.processes
    os.kill(pid, signal.SIGSTOP)  # it cannot even hear its alarm
    assert await_state(made, key, "stopped", "failed").state == "stopped"
    until(lambda: not alive(pid))
    made.close()


def test_who_is_ended_by_his_own_clock_is_told_that_his_time_was_over(trainings: Trainings):
    """The kernel's alarm ends a process that is too slow to look at the time, while it imports torch for example."""
    key = trainings.start("a", LONG)
    until(lambda: len(trainings.processes) == 1)
    (pid,) = trainings.processes
    os.kill(pid, signal.SIGALRM)
    live = await_state(trainings, key, "stopped", "failed")
    assert live.state == "stopped" and "the most that one training may take" in live.says


def test_a_training_gets_no_more_memory_than_it_may_have():
    made = Trainings(limits(at_once=1, memory_mb=60, lease=60))  # torch alone takes more
    live = await_state(made, made.start("a", SHORT), "failed", "finished")
    assert live.state == "failed" and live.says
    assert made.processes == ()
    made.close()


def test_a_full_queue_refuses_with_a_sentence():
    made = Trainings(limits(at_once=1, waiting=1, lease=60))
    running = made.start("a", LONG)
    await_state(made, running, "running")
    made.start("b", LONG)
    refused = made.look(made.start("c", LONG))
    assert refused.state == "failed" and refused.says.startswith("1 others are waiting")
    made.close()


def test_of_one_address_only_so_many_wait_and_others_have_their_places():
    """A class of sixty behind one address gets in; who opens a thousand sessions does not fill the queue."""
    usual = Limits()
    assert 60 <= usual.of_one_address - 1 <= usual.waiting - 60
    made = Trainings(limits(at_once=1, lease=60, waiting=5, of_one_address=2))
    first = made.start("a", LONG, "10.0.0.1")
    await_state(made, first, "running")
    others = [made.look(made.start(visitor, LONG, "10.0.0.1")) for visitor in "bcd"]
    assert [live.state for live in others] == ["queued", "queued", "failed"]
    assert others[-1].says == "2 others of your network are waiting. Try again in a few minutes."
    assert made.look(made.start("e", LONG, "10.0.0.2")).state == "queued"
    assert made.look(made.start("f", LONG)).state == "queued"
    made.close()


def test_a_keeper_that_runs_out_of_memory_goes_on(trainings: Trainings, monkeypatch: pytest.MonkeyPatch):
    from attention_core.grow import trainings as module

    def no_memory(*_: object, **__: object):
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr(module.subprocess, "Popen", no_memory)
        failed = await_state(trainings, trainings.start("a", SHORT), "failed")
        assert failed.says == "The training could not be started: the machine has no room for it."
        short.setattr(Trainings, "_look_after", no_memory)
        waiting = trainings.start("b", SHORT)
        time.sleep(0.1)
    assert await_state(trainings, waiting, "finished", "failed").state == "finished"


def test_a_young_training_ends_with_its_server_even_while_it_imports(tmp_path: Path):
    """What it imports holds Python's lock for minutes, as torch does for seconds: no thread of its own gets a turn."""
    (tmp_path / "torch.py").write_text("print('here', flush=True)\nsum(range(10**11))\n")
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    process = subprocess.Popen(
        [sys.executable, "-m", "attention_core.grow", "--live"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        cwd=tmp_path,
    )
    assert process.stdin and process.stderr
    order = {"settings": SHORT.as_json(), "seconds": 600, "memory_mb": 700, "niceness": 0}
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    assert process.stderr.readline() == b"here\n"  # its output is for records
    process.stdin.close()
    assert process.wait(PATIENCE) == -signal.SIGIO
    process.stderr.close()


def test_ended_runs_are_kept_for_a_while_but_only_a_few():
    made = Trainings(limits(at_once=1, kept=2, lease=60))
    keys = [made.start(visitor, LONG) for visitor in "abc"]
    for key in keys:
        made.stop(key)
    with pytest.raises(Gone):
        made.look(keys[0])
    assert [made.look(key).state for key in keys[1:]] == ["stopped", "stopped"]
    made.close()


def test_closing_ends_everything_and_starts_nothing_more():
    made = Trainings(limits(at_once=1, lease=60))
    await_state(made, made.start("a", LONG), "running")
    pids = made.processes
    made.close()
    until(lambda: not any(map(alive, pids)))
    assert made.look(made.start("b", LONG)).says == "The server is stopping." and made.processes == ()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_running_when_the_server_is_killed(how: signal.Signals):
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\n"
            "from attention_core.grow.tasks import RunSettings\n"
            "from attention_core.grow.trainings import Limits, Trainings\n"
            "made = Trainings(Limits(at_once=2, lease=300, niceness=0))\n"
            "keys = [made.start(visitor, RunSettings(n_steps=10_000)) for visitor in 'ab']\n"
            "while not all(made.look(key).step for key in keys): time.sleep(0.05)\n"
            "print(*made.processes, flush=True)\n"
            "time.sleep(300)\n",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server.stdout:
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) == 2 and all(map(alive, pids))
        server.send_signal(how)
        server.wait()
    until(lambda: not any(map(alive, pids)))


def test_the_supervisor_needs_no_torch():
    code = "import sys, attention_core.grow.trainings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_training_sets_its_bounds_before_torch_is_loaded():
    """Read off the process itself: when the bound on memory is set, torch is not there yet."""
    code = """
import resource, runpy, sys
bound = resource.setrlimit
def told(*given):
    sys.stderr.write(f"torch is {'there' if 'torch' in sys.modules else 'not there'}\\n")
    bound(*given)
resource.setrlimit, sys.argv = told, ["grow", "--live"]
runpy.run_module("attention_core.grow", run_name="__main__")
"""
    order = {"settings": RunSettings("repeated").as_json(), "seconds": 5, "memory_mb": 4_000, "niceness": 0}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(order) + "\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stderr.splitlines()[0] == "torch is not there"
