"""The model broker beside a gateway: hosted as a child process, and opened to agents."""
