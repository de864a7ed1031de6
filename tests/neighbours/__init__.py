"""Other pytest plugins, with this one beside them: what differs from what it should be.

``python -m neighbours`` makes the environments, runs everything, and writes a table:

- `suites`: the own test suites of xdist, testinfra and rerunfailures run with and without this
  plugin. Each test must have the same outcome: unused means untouched.
- `plugins`: a small suite with checks (`suites/`) runs beside each of the plugins that people use
  most, alone and with workers. Each test must end as its name says.
"""
