"""Names under which checkpoints and configuration files refer to classes."""

PACKAGE = __name__.partition(".")[0]


def get_class_path(cls: type) -> str:
    """Return the import path of a class; a class of this package goes by its public name, such as "classifier.MLP".

    The public name stays valid when a class moves to another file of the package.
    """
    if cls.__module__.partition(".")[0] == PACKAGE:
        return f"{PACKAGE}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def list_subclasses(base: type) -> list[type]:
    """Return all imported classes below `base`, at any depth."""
    subclasses: list[type] = []
    child: type
    for child in base.__subclasses__():
        subclasses += [child, *list_subclasses(child)]
    return subclasses


def to_public_path(path: str) -> str:
    """Return a class path under which a class of this package is public today.

    Checkpoints of version 0.1 name the file that a class was in, such as "classifier.models.MLP".
    """
    if path.partition(".")[0] == PACKAGE:
        return f"{PACKAGE}.{path.rpartition('.')[2]}"
    return path


def find_subclass(path: str, base: type) -> type | None:
    """Return the imported subclass of `base` that `path` names, or None; nothing is imported."""
    path = to_public_path(path)
    return next((cls for cls in list_subclasses(base) if get_class_path(cls) == path), None)
