"""The hall: the words everybody shares, the ports to the outside, their adapters, and the daemon.

The rooms (ivr, acd, customers, screenpop, voc, agent_console) stand on it and never on one another.
Inside, lower floors know nothing of higher ones: words < ports < adapters < house.
"""
