"""What ``tidewaiter demo`` consists of: an S3 server, a git repository, a flow, messy files, a daemon."""
