"""Import paths of classes in checkpoints and configuration files."""

PACKAGE = __name__.partition(".")[0]


def get_class_path(cls: type) -> str:
    """Return the import path of a class; for a class of this package, its public path, such as "classifier.MLP".

    The public path remains valid when a class moves to another file of the package.
    """
    if cls.__module__.partition(".")[0] == PACKAGE:
        return f"{PACKAGE}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def list_subclasses(base: type) -> list[type]:
    """Return all direct and indirect subclasses of `base` that are imported."""
    subclasses: list[type] = []
    child: type
    for child in base.__subclasses__():
        subclasses += [child, *list_subclasses(child)]
    return subclasses


def to_public_path(path: str) -> str:
    """Convert the import path of a class of this package to its public path; return any other path unchanged.

    Checkpoints of version 0.1 contain the module of a class, as in "classifier.models.MLP".
    """
    if path.partition(".")[0] == PACKAGE:
        return f"{PACKAGE}.{path.rpartition('.')[2]}"
    return path


def find_subclass(path: str, base: type) -> type | None:
    """Return the subclass of `base` with the import path `path`, or None if it is not imported yet."""
    path = to_public_path(path)
    return next((cls for cls in list_subclasses(base) if get_class_path(cls) == path), None)
