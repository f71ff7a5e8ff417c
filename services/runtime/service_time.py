"""How long a batch takes, by its rows, learnt from those that ran: a line through the newest of them.

The fit is one of least squares in which each batch weighs a fifth less than the next, and is never one that falls. How
far batches are from it on average is what a request must have to spare, four times over, as TCP has it of round trips
(RFC 6298). For the portable front; `front/src/service_time.rs` is the same in Rust.
"""

# How much less than the next a batch weighs.
_NEWEST = 0.2
_DEVIATIONS = 4


class ServiceTime:
    """Times in seconds; 0 until a batch has been measured."""

    def __init__(self) -> None:
        self.is_known = False
        self._rows = self._time_s = self._rows_squared = self._rows_time_s = 0.0
        self._deviation_s = 0.0

    @property
    def spare_s(self) -> float:
        """What to have to spare."""
        return _DEVIATIONS * self._deviation_s

    def of(self, rows: float) -> float:
        """What a batch of so many rows takes."""
        return max(0.0, self._time_s + self._slope_s * (rows - self._rows))

    def add(self, rows: int, compute_s: float) -> None:
        """A batch has run."""
        if self.is_known:
            self._deviation_s += _NEWEST * (abs(compute_s - self.of(rows)) - self._deviation_s)
        share = _NEWEST if self.is_known else 1.0
        self._rows += share * (rows - self._rows)
        self._time_s += share * (compute_s - self._time_s)
        self._rows_squared += share * (rows * rows - self._rows_squared)
        self._rows_time_s += share * (rows * compute_s - self._rows_time_s)
        self.is_known = True

    @property
    def _slope_s(self) -> float:
        """A row's own time: none where all batches have had about the same number of rows."""
        variance = self._rows_squared - self._rows * self._rows
        if variance < 0.25:
            return 0.0
        slope_s = (self._rows_time_s - self._rows * self._time_s) / variance
        # Not more than as if rows were all that costs.
        return min(max(slope_s, 0.0), self._time_s / self._rows)
