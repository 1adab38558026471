"""What stands in the address: the view, the growth, which parameters a page keeps, the path below which we lie.

Reading and writing of parameters; what is done with them is decided in `session`.
"""
