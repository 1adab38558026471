"""A random name for this server process, which tells a browser that comes back whether it was restarted."""

import secrets

BOOT = secrets.token_hex(8)  # tells a browser that comes back whether it is still the same process
