"""Small graphs that several tests use."""

from __future__ import annotations
