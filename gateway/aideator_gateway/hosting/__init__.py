"""HTTP for an application: who may connect, how long a client may take, and how it all ends."""
