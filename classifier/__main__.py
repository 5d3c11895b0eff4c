"""Entry point of `python -m classifier`."""

from classifier.cli.main import main

if __name__ == "__main__":
    main()
