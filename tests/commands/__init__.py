"""Commands beside the tests: benchmarks, the matrix of architectures, the reference, screenshots.

They print and measure; what must hold is asserted in the tests.
"""
