"""The bench: every bar of the design with its figure, measured on this machine through real sockets."""
