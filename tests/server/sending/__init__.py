"""What is done to our own files on their way to a browser.

Which files are served, and how they may be kept, is in tests/server/test_static_files.py.
"""
