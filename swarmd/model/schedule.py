"""Schedules of cron services: the five fields of cron, or a word such as @daily, in a time zone.

`parse_schedule` reads the text; `Schedule.next_after` names the next moment. Days match as in
cron: a day of the month and a day of the week that are both given are alternatives.

Where clocks are changed, what people expect of a schedule depends on its hours. One that names
hours happens exactly once on each of its days: a time that is skipped happens when the clocks have
jumped, a time that comes twice happens the first time. One whose hour field starts with a star is
about the passing of time: it happens in both passes of a repeated hour, and a skipped one has none.
`@every` counts in multiples of its duration since the epoch and knows no zones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from swarmd.model.instant import SECOND, Instant, parse_duration

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
EVERY = "@every"
EVERY_NS_MIN = SECOND
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SEARCH_DAYS = 366 * 29  # 29 February can be this long away on a given day of the week
_BACK_HOURS = 3  # more than clocks are ever changed by
COUNTED_MAX = 1000


class Schedule(Protocol):
    def next_after(self, instant: Instant) -> Instant | None:
        """The first moment later than `instant`; None if there is none."""
        ...


class Due(NamedTuple):
    """Moments that have come: the latest of them, oldest first, and how many there were."""

    latest: tuple[Instant, ...]
    number: int


def parse_schedule(text: str, time_zone: str = "") -> Schedule:
    """Read a schedule.

    Raises:
        ValueError: the text is no schedule, it never happens, or the time zone is not known here.
    """
    words = text.split()
    if words[:1] == [EVERY]:
        return _parse_every(text, words)
    if len(words) == 1 and words[0].startswith("@"):
        if words[0].lower() not in WORDS:
            known = ", ".join(WORDS)
            raise ValueError(f"schedule {text!r} is unknown; use {known} or {EVERY} DURATION")
        words = WORDS[words[0].lower()].split()
    if len(words) != 5:
        raise ValueError(
            f"schedule {text!r} has {len(words)} fields instead of 5: minute, hour, day of month, "
            "month, day of week, as in '*/5 * * * *'"
        )
    schedule = Calendar(
        minutes=_field(words[0], "minute", 0, 59),
        hours=_field(words[1], "hour", 0, 23),
        days=_field(words[2], "day of month", 1, 31),
        months=_field(words[3], "month", 1, 12, _MONTHS),
        weekdays=frozenset(day % 7 for day in _field(words[4], "day of week", 0, 7, _DAYS)),
        any_day=words[2].startswith(("*", "?")) or words[4].startswith(("*", "?")),
        elapsing=words[1].startswith("*"),
        zone=find_zone(time_zone),
    )
    if schedule.next_after(Instant(0)) is None:
        raise ValueError(f"schedule {text!r} never happens: no month has such a day")
    return schedule


def find_zone(name: str) -> ZoneInfo:
    """The time zone of a name of the tz database; empty is UTC.

    Raises:
        ValueError: there is none of this name on this machine.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"time zone {name!r} is not known here; write for example Europe/Rome, and see that "
            "the managers have a tz database (package tzdata)"
        ) from None


def due_between(schedule: Schedule, since: Instant, until: Instant, *, latest: int) -> Due:
    """The moments after `since` up to `until`, of which only the `latest` are named.

    Of more than `COUNTED_MAX` only those of the end are looked at, so that a schedule nobody
    followed for a year costs no more than one of a day; the count then is a lower bound.
    """
    found, count = _collect(schedule, since, until, latest)
    if count < COUNTED_MAX:
        return Due(found, count)
    window_ns = 2 * (found[-1] - since) // COUNTED_MAX * max(latest, 1)
    while True:
        near, seen = _collect(schedule, Instant(max(until - window_ns, since)), until, latest)
        if seen >= min(latest, COUNTED_MAX) or until - window_ns <= since:
            return Due(near, max(count, seen))
        window_ns *= 2


def upcoming(schedule: Schedule, after: Instant, number: int) -> tuple[Instant, ...]:
    """The next moments after `after`, at most `number`."""
    found: list[Instant] = []
    while len(found) < number:
        following = schedule.next_after(found[-1] if found else after)
        if following is None:
            break
        found.append(following)
    return tuple(found)


def _collect(
    schedule: Schedule, since: Instant, until: Instant, latest: int
) -> tuple[tuple[Instant, ...], int]:
    """Moments from `since` on, in order, at most `COUNTED_MAX` of them."""
    found: deque[Instant] = deque(maxlen=max(latest, 1))
    moment, count = schedule.next_after(since), 0
    while moment is not None and moment <= until and count < COUNTED_MAX:
        found.append(moment)
        count += 1
        moment = schedule.next_after(moment)
    return tuple(found), count


class Every(NamedTuple):
    """Multiples of a duration since the epoch."""

    period_ns: int

    def next_after(self, instant: Instant) -> Instant | None:
        return Instant((instant // self.period_ns + 1) * self.period_ns)


class Calendar(NamedTuple):
    """The five fields; `any_day` says that not both kinds of day are restricted."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    elapsing: bool  # follows the passing of time rather than the clock on the wall
    zone: ZoneInfo

    def next_after(self, instant: Instant) -> Instant | None:
        local = datetime.fromtimestamp(instant // SECOND, self.zone) - timedelta(hours=_BACK_HOURS)
        found: list[Instant] = []
        hours = self._local_hours(local.replace(tzinfo=None))
        for start in hours:
            found += [moment for moment in self._moments(start) if moment > instant]
            if found:
                # Hours that come twice are interleaved; the next ones may hold an earlier moment.
                for _, following in zip(range(_BACK_HOURS), hours, strict=False):
                    found += [moment for moment in self._moments(following) if moment > instant]
                return min(found)
        return None

    def _local_hours(self, since: datetime) -> Iterator[datetime]:
        """The hours named by the fields, as shown by clocks, from that of `since` on."""
        day = since.date()
        for _ in range(_SEARCH_DAYS):
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._is_day(day):
                for hour in sorted(self.hours):
                    start = datetime(day.year, day.month, day.day, hour)
                    if start + timedelta(hours=1) > since:
                        yield start
            day += timedelta(days=1)

    def _is_day(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.any_day else in_month or in_week

    def _moments(self, hour: datetime) -> list[Instant]:
        """When the minutes of an hour shown by clocks come about."""
        first = _instant(hour.replace(tzinfo=self.zone))
        end = _instant((hour + timedelta(minutes=59)).replace(tzinfo=self.zone, fold=1))
        if end - first == 59 * 60 * SECOND:  # no change of clocks in it
            return [Instant(first + minute * 60 * SECOND) for minute in self.minutes]
        moments: list[Instant] = []
        for minute in self.minutes:
            moments += self._unusual(hour + timedelta(minutes=minute))
        return moments

    def _unusual(self, wall: datetime) -> list[Instant]:
        """When clocks show `wall`, near a change of clocks."""
        earlier = _instant(wall.replace(tzinfo=self.zone, fold=0))
        later = _instant(wall.replace(tzinfo=self.zone, fold=1))
        shown = datetime.fromtimestamp(earlier // SECOND, self.zone).replace(tzinfo=None)
        if shown != wall:
            return [] if self.elapsing else [self._after_gap(later, earlier)]
        if self.elapsing and later != earlier:
            return [earlier, later]
        return [earlier]

    def _after_gap(self, low: Instant, high: Instant) -> Instant:
        """The moment between two at which the clocks jump ahead."""
        before = datetime.fromtimestamp(low // SECOND, self.zone).utcoffset()
        first, last = low // SECOND, high // SECOND
        while last - first > 1:
            middle = (first + last) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == before:
                first = middle
            else:
                last = middle
        return Instant(last * SECOND)


def _instant(moment: datetime) -> Instant:
    return Instant(int(moment.astimezone(UTC).timestamp()) * SECOND)


def _parse_every(text: str, words: list[str]) -> Schedule:
    if len(words) != 2:
        raise ValueError(f"schedule {text!r} needs one duration, as in '{EVERY} 90s'")
    period_ns = parse_duration(words[1])
    if period_ns < EVERY_NS_MIN:
        raise ValueError(f"schedule {text!r} is too frequent: at most once a second")
    return Every(period_ns)


def _field(
    text: str, name: str, low: int, high: int, names: tuple[str, ...] = ()
) -> frozenset[int]:
    """The numbers of one field: `*`, `5`, `1-5`, `*/10`, `1-30/2`, `mon-fri`, or a list of them."""
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, 1, high, ()) if slash else 1
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, name, low, high, names)
            last = _number(end, name, low, high, names) if dash else (high if slash else first)
        if first > last:
            raise ValueError(f"{name} {part!r} ends before it begins")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + (1 if low == 1 else 0)
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"{name} {text!r} is not a number from {low} to {high}")
    return int(text)
