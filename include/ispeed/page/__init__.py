"""Pages of the shared folder: one HTML file each, without a request, that a browser opens from a file share."""
