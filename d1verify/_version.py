"""The version, for those who must not import the package to know it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
