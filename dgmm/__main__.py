"""``python -m dgmm``: the command line."""

from dgmm.cli import main

if __name__ == "__main__":
    main(prog_name="dgmm")
