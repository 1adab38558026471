"""A reader process beside the pages, as a visitor sees it."""
