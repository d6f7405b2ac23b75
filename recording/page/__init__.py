"""A recording as one HTML page that opens from the disk, without any network."""

from recording.page.page import write_page

__all__ = ["write_page"]
