"""Sweeps: jobs and where they run, what is left to do of an earlier sweep, and the summary at the end."""
