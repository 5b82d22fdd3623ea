"""What goes together: single weights, N of every M, blocks."""
