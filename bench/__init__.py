"""What is measured, against whom: `python -m bench [row ...]`, figures in bench/README.md and bench/results.json.

Every row runs in a process of its own and has its peer, or the floor no program can get below, beside it in the same
run, in interleaved rounds. Figures are medians of rounds; nothing here is a test and nothing fails because it was slow.
"""
