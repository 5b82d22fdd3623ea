"""Schedules: when how much is pruned, and what is trained in between."""
