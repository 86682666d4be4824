"""Seeds that follow from others."""


def mix(seed: int, epoch: int) -> int:
    """Return a seed of 63 bits for one epoch; neighbouring seeds and epochs do not share any."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value ^= value >> 31
    return (value * 0x94D049BB133111EB & (2**64 - 1)) >> 1
