"""Structures that are taken out, so that a smaller dense graph is left."""
