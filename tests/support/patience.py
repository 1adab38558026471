"""How long a test waits for what must come before it says that it did not.

Far longer than it takes: a test that waits asks whether something happens, never how fast, and the machine may be busy.
"""

PATIENCE = 300.0  # seconds
