"""Delete the decoded images that are cached on disk."""

from pathlib import Path

from classifier.data.own_images.cache import DiskCache
from classifier.errors import UserError, make_printable


def clear_cache(cache_dir: str | None = None) -> None:
    """Delete the decoded images that training has cached on disk.

    Args:
        cache_dir: Folder of the cache; by default, classifier/images in the cache folder of your user account.

    Raises:
        UserError: Files cannot be deleted.
    """
    cache = DiskCache(None if cache_dir is None else Path(cache_dir))
    try:
        count, size = cache.clear()
    except OSError as error:
        raise UserError(f"{make_printable(cache.folder)} cannot be cleared: {error.strerror}") from error
    print(f"deleted {count:,} file{'s' * (count != 1)}, {size / 1e6:,.1f} MB, from {make_printable(cache.folder)}")
