"""State machines that take in a pass and say what comes next: EM, corrected EM, re-seeding around both."""
