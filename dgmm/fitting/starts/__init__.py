"""Where EM starts: scikit-learn's methods, and the search with the moves that EM does not make by itself."""
