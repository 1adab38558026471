"""The seam between the pages and whoever computes: one suite, run for every engine, and what is a process's own."""
