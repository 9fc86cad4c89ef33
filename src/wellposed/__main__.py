"""`python -m wellposed`: the command line where its script is not on the path."""

from wellposed.cli import main

if __name__ == "__main__":  # a process that torch spawns imports this file again
    main()
