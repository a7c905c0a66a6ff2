"""The HTTP API: endpoints, bodies, problems, who may call, the stream. Alone knows Starlette."""
