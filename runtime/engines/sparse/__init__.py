"""The event-driven step: work is done for what is active, on one core and without a graph."""

from retempo.runtime.engines.sparse.engine import SparseEngine

__all__ = ["SparseEngine"]
