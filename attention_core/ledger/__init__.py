"""One head and one query in real numbers, step by step, with its checks and its code.

The ledger explains a record; it makes no picture of a whole head.
"""
