"""The curve P-256 in whole numbers (FIPS 186-5, SEC 2 §2.4.2)."""

from __future__ import annotations

__all__ = ["COORDINATE_BYTES", "ORDER", "PRIME", "decompressed", "is_on_curve"]

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
COORDINATE_BYTES = 32


def is_on_curve(x: int, y: int) -> bool:
    """Tell whether (x, y) is a point of the curve, its coordinates in the field and spelt in one way."""
    return 0 <= x < PRIME and 0 <= y < PRIME and (y * y - _square_of_y(x)) % PRIME == 0


def decompressed(x: int, *, odd: bool) -> int | None:
    """Return the y of the point with this x whose last bit is `odd`, or None if there is none (SEC 1 §2.3.4)."""
    if not 0 <= x < PRIME:
        return None
    y = pow(_square_of_y(x), (PRIME + 1) // 4, PRIME)
    if not is_on_curve(x, y):
        return None
    return y if y % 2 == odd else PRIME - y


def _square_of_y(x: int) -> int:
    return (x**3 - 3 * x + B) % PRIME
