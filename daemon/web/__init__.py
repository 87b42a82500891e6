"""The API over HTTP: all of it on the control socket; health and webhooks alone on a TCP address."""
