"""From the `[guard]` of a configuration to the rules of a guard."""

from retempo.runtime.errors import ConfigError
from retempo.runtime.guard import PERIODS_US, GuardRules
from retempo.runtime.serve_config import GuardConfig
from retempo.runtime.units import parse_dt_us


def guard_rules(config: GuardConfig, lateness_us: int) -> GuardRules:
    """Read the durations of `[guard]`.

    Raises:
        ConfigError: one is malformed, `back` is less than the lateness, or a counter's turn is too
            short for `back`.
    """
    back_us, ahead_us = _read(config.back, "back"), _read(config.ahead, "ahead")
    if back_us < lateness_us:
        raise ConfigError(
            f"[guard] back is {back_us} us, less than [input] lateness, {lateness_us} us: what is "
            "merely late would be taken for a jump; set back to the lateness or more"
        )
    period_us = PERIODS_US[config.wrap]
    if period_us and 2 * back_us > period_us:
        raise ConfigError(
            f"[guard] back is {back_us} us, but a {config.wrap} counter turns in {period_us} us; "
            "set back to half of that or less"
        )
    return GuardRules(
        back_us, ahead_us, config.backward, config.forward, config.wrap, config.confirm
    )


def _read(text: str, key: str) -> int:
    try:
        return parse_dt_us(text)
    except ConfigError as error:
        raise ConfigError(f"[guard] {key}: {error}") from error
