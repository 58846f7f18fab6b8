"""Accuracy at any time step by every method, from training to tables and pictures.

    python -m benchmarks.adaptation --data-root FOLDER [--study fsdd nmnist ...] [--quick]

What is measured stands in `plan.py` and `studies/`; one file a question.
"""
