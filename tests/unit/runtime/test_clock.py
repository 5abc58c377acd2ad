"""The clock of a process goes on whatever the machine's wall clock does."""

from swarmd.runtime.clock import SteadyClock


class Machine:
    def __init__(self) -> None:
        self.wall, self.passed = 1_000, 0

    def advance(self, duration: int) -> None:
        self.wall += duration
        self.passed += duration

    def clock(self) -> SteadyClock:
        return SteadyClock(wall_ns=lambda: self.wall, monotonic_ns=lambda: self.passed)


def test_it_shows_the_wall_clock_while_that_goes_forward() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.advance(50)
    assert (clock.now(), clock.monotonic()) == (1_050, 50)
    machine.wall += 5_000
    assert (clock.now(), clock.monotonic()) == (6_050, 50)


def test_after_a_step_back_it_goes_on_slower_until_the_wall_clock_has_caught_up() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.now()
    machine.wall -= 100
    machine.advance(500)
    assert clock.now() == 1_450
    machine.advance(500)
    assert clock.now() == machine.wall == 1_900
    machine.advance(1)
    assert clock.now() == 1_901


def test_a_step_back_before_it_was_first_asked_does_not_matter() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall -= 900
    assert clock.now() == 100
