"""The address (URL): the view and the growth as parameters, which parameters a page keeps, the app's base path.

Reading and writing of parameters; what is done with them is decided in `session`.
"""
