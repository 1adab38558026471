"""The names of `attention_core.reading.contribution`, for whoever imports them from here; for one release."""

from attention_core.reading.contribution import *  # noqa: F403 (a forward has every name)
