"""The ``aideator`` command: it joins all rooms."""
