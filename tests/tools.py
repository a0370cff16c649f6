"""What the tests share is in host.py; this is for those that have not moved there yet."""
from framing import Court, rule_lines  # noqa: F401
from host import *  # noqa: F401,F403
