"""What the pages share, in packages that stand in rows (tests/test_layers.py); `assets` knows where the files lie.

Arithmetic on tensors is in `attention_core`.
"""
