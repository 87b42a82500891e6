"""The API over HTTP: all of it on the control socket, health alone on a TCP address."""
