"""One run: its jobs, their verdicts, its link to the other processes, its end."""
