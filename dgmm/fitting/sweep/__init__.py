"""Many models in the same passes: starts for all, the race, scores and the choice."""
