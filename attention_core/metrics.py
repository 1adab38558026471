"""The names of `attention_core.formula.metrics`, for whoever imports them from here; for one release."""

from attention_core.formula.metrics import *  # noqa: F403 (a forward has every name)
