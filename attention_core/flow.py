"""The names of `attention_core.reading.flow`, for whoever imports them from here; for one release."""

from attention_core.reading.flow import *  # noqa: F403 (a forward has every name)
