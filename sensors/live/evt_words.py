"""The words of an EVT sensor as they come, and the time that they say it has reached."""

from retempo.sensors.byte_decoder import Buffer
from retempo.sensors.columns import AnyColumns
from retempo.sensors.evt import Coding, evt_decoder
from retempo.sensors.evt.clock import UNIT_2, UNIT_3
from retempo.sensors.evt.state import HIGH, LOW, NONE, UNSURE


class EvtWords:
    """An EVT decoder and where it stands."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._decoder = evt_decoder(coding)
        self._state = self._decoder.start()

    def feed(self, data: Buffer) -> AnyColumns:
        """Decode the next bytes, however they are cut."""
        self._state, columns = self._decoder.feed(self._state, data)
        return columns

    def finish(self) -> AnyColumns:
        """Say what the end leaves unfinished, and begin anew."""
        columns = self._decoder.finish(self._state)
        self._state = self._decoder.start()
        return columns

    @property
    def reached_us(self) -> int | None:
        """The sensor's time, which its words tell in silence too; None before the first of them."""
        numbers = self._state.numbers
        if numbers[HIGH] == NONE or numbers[UNSURE]:
            return None
        unit = UNIT_3 if self._coding.version == "3" else UNIT_2
        return (int(numbers[HIGH]) << unit) + int(numbers[LOW]) + self._coding.t0_us
