"""The scikit-learn faces: `dgmm` has their names, and imports the one that is asked for."""
