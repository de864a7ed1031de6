#!/usr/bin/env python3
"""Stands in for /opt/monitor/db.py: exit code 2 is a warning, which is accepted."""

import sys
import time

time.sleep(1)
print("replication lag: 4 s")
sys.exit(2)
