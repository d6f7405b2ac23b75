"""A recording as one HTML page that opens from the disk, without any network."""
