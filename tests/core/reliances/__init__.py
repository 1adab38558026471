"""What we lean on inside libraries, each by a test that names it."""
