#!/usr/bin/env python3
"""Stands in for /opt/monitor/checks.py: probes a web app until it answers."""

import time

for probe in range(3):
    print(f"probe {probe}: 200 OK", flush=True)
    time.sleep(0.5)
