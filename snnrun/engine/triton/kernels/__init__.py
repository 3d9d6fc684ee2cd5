"""Device code of the Triton engine. Importing this package needs triton."""
