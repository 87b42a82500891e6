"""See what has arrived in a bucket, and read, copy and remove objects there."""
