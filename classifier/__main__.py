"""Entry of `python -m classifier`."""

from classifier.cli import main

if __name__ == "__main__":
    main()
