"""The program that runs inside a sandbox: one model, three tools, one repository, one patch.

Started as ``python -m aideator.agent``; it prints what happens as it happens, in the form
that :mod:`aideator.protocol` defines. It imports neither the module nor the gateway.
"""
