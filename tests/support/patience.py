"""The time limit of tests that wait for something that must happen.

Far longer than it takes: a test that waits asks whether something happens, never how fast, and the machine may be busy.
"""

PATIENCE = 300.0  # seconds
