"""What `tidewaiter doctor` looks at: small checks, each of which gives findings and raises nothing of ours."""
