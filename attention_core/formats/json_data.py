"""Names for data that is JSON, or is about to be.

Values nest without end, and a type that said so would be taken apart again at every step. So a value is `Any`, here and
nowhere else: who writes one builds it of texts, numbers, booleans, None, lists and objects; who reads one that comes
from outside checks what he takes (`fields`, `plain_values`, and the readers of our own files).
"""

from collections.abc import Mapping
from typing import Any

Json = Any  # one value
JsonObject = dict[str, Any]  # an object
JsonMapping = Mapping[str, Any]  # an object that is only read
