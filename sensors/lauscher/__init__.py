"""The inner ear of the Heidelberg spiking data sets: membrane, hair cells, bushy cells.

Source: Cramer, Stradmann, Schemmel, Zenke, The Heidelberg Spiking Data Sets for the Systematic
Evaluation of Spiking Neural Networks, 2020 (arXiv 1910.07407). Written from its equations and
constants; docs/cochlea.md has them.
"""

from retempo.sensors.lauscher.hearing import EAR
from retempo.sensors.lauscher.spec import LauscherSpec

__all__ = ["EAR", "LauscherSpec"]
