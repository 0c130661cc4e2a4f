"""How fast an amount grows."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 15.0  # the rate is that of the last quarter minute


class RateMeter:
    """Bytes per second over the last 15 seconds, from samples of a growing total."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=256)

    def add(self, now_s: float, total_bytes: int) -> None:
        """Take a sample; a total that fell (a new file) starts over."""
        samples = self._samples
        if samples and total_bytes < samples[-1][1]:
            samples.clear()
        samples.append((now_s, total_bytes))

    def rate(self, now_s: float) -> float | None:
        """Bytes per second, None before two samples a moment apart."""
        samples = self._samples
        while len(samples) > 2 and samples[1][0] < now_s - _WINDOW_S:
            samples.popleft()
        if len(samples) < 2 or now_s - samples[0][0] < 0.2:
            return None
        # Up to now, not up to the last sample: a stalled transfer must be seen to stall.
        return (samples[-1][1] - samples[0][1]) / (now_s - samples[0][0])
