"""The one stopwatch: processes, rounds, memory, and what is known of the machine."""
