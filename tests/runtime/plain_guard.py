"""What a guard means, an event at a time and with all of them at hand: its plain twin."""

from dataclasses import dataclass, field

from retempo.runtime.guard import PERIODS_US, GuardRules
from retempo.runtime.guard_kernel import LATEST_US


@dataclass
class Judged:
    """Events by their index in the stream: admitted with their time of the stream, or refuted."""

    admitted: dict[int, int] = field(default_factory=dict)
    late: int = 0
    invalid: int = 0
    jumps: list[tuple[int, int]] = field(default_factory=list)


def plain_guard(told: list[int], rules: GuardRules, grid_us: int) -> Judged:
    """Judge a whole stream; what is held back at its end is refuted."""
    judged, period = Judged(), PERIODS_US[rules.wrap]
    back, ahead = rules.back_us, rules.ahead_us
    if period:
        ahead = min(ahead, period - back - 1)
    offset, mark, place = 0, told[0] if told else 0, 0

    def time_of(t: int) -> int:
        t += offset
        if period:
            turns = (t - (mark - back)) // period
            t -= turns * period
        return t

    def believed(t: int) -> bool:
        behind = t < mark - back and not (rules.backward == "late" and not period)
        return not behind and t <= mark + ahead and t <= LATEST_US

    while place < len(told):
        t = time_of(told[place])
        if believed(t):
            judged.admitted[place] = t
            mark = max(mark, t)
            offset = t - told[place]
            place += 1
            continue
        run = [t]
        for later in told[place + 1 : place + rules.confirm]:
            u = time_of(later)
            if believed(u) or not max(run) - back <= u <= max(run) + ahead:
                break
            run.append(u)
        to = t if t > mark else (mark // grid_us + 1) * grid_us
        if len(run) == rules.confirm and max(to, abs(told[place])) <= LATEST_US:
            judged.jumps.append((to, t - mark))
            offset, mark = to - told[place], to
            continue
        judged.late += sum(u < mark for u in run)
        judged.invalid += sum(u >= mark for u in run)
        place += len(run)
    return judged
