"""Which process this is."""

import secrets

BOOT = secrets.token_hex(8)  # tells a browser that comes back whether it is still the same process
